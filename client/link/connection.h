#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/client_context.h"

namespace evenkeel::client {

using Deadline = std::chrono::steady_clock::time_point;

// Single attempts at the calls of BiasCoordinator: each blocks until the answer, the deadline or Stop(), and answers
// with what the coordinator or the transport said. One call at a time; Stop() may come from any thread.
class Connection {
 public:
  // To `coordinator` (host:port). `join` tells how large replies can be. Connects with the first call.
  Connection(const std::string& coordinator, const v1::JoinRequest& join);

  absl::Status Join(const v1::JoinRequest& request, Deadline deadline, v1::JoinResponse* response);
  absl::Status Push(const v1::PushRequest& request, Deadline deadline, v1::CommittedVersion* version);
  absl::Status Leave(const v1::LeaveRequest& request, Deadline deadline);

  // Ends the call in progress, and every later one, with CANCELLED.
  void Stop();

 private:
  template <typename Request, typename Response>
  using Method = grpc::Status (v1::BiasCoordinator::Stub::*)(grpc::ClientContext*, const Request&, Response*);

  template <typename Request, typename Response>
  absl::Status Call(Method<Request, Response> method, const Request& request, Deadline deadline, Response* response);

  // Makes `context` the one that Stop() cancels. False after Stop().
  bool Enter(grpc::ClientContext* context);
  void Exit();

  const std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* in_progress_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace evenkeel::client
