#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/file_stamp.h"
#include "base/mutex.h"
#include "client/deadline.h"
#include "client/link/credentials.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/client_context.h"

namespace evenkeel::client {

// How long one attempt may take, and what it does while there is no connection: fail at once with what connecting met,
// or wait for one. gRPC drives a connection forward only while somebody waits for it: a caller that failed at once, and
// slept between its attempts, would notice a restarted coordinator seconds late.
struct Patience {
  Deadline deadline;
  bool wait_for_connection = false;
};

// Single attempts at the calls of BiasCoordinator: each blocks until the answer, the deadline or Stop(), and answers
// with what the coordinator or the transport said. One call at a time; Stop() may come from any thread.
class Connection {
 public:
  // To `coordinator` (host:port), for replies of up to `max_reply_bytes`. Connects with the first call. Certificates
  // that change are read again when a call has failed; files that cannot be read fail the call, UNAVAILABLE.
  Connection(std::string coordinator, int max_reply_bytes, Credentials credentials = {});

  absl::Status Join(const v1::JoinRequest& request, const Patience& patience, v1::JoinResponse* response);
  absl::Status Push(const v1::PushRequest& request, const Patience& patience, v1::CommittedVersion* version);
  absl::Status Heartbeat(const v1::HeartbeatRequest& request, const Patience& patience,
                         v1::HeartbeatResponse* response);
  absl::Status Leave(const v1::LeaveRequest& request, const Patience& patience);
  absl::Status GetState(const v1::GetStateRequest& request, const Patience& patience, v1::GetStateResponse* response);
  absl::Status Rendezvous(const v1::RendezvousRequest& request, const Patience& patience,
                          v1::RendezvousResponse* response);

  // Ends the call in progress, and every later one, with CANCELLED.
  void Stop();

 private:
  template <typename Request, typename Response>
  using Method = grpc::Status (v1::BiasCoordinator::Stub::*)(grpc::ClientContext*, const Request&, Response*);

  template <typename Request, typename Response>
  absl::Status Call(Method<Request, Response> method, const Request& request, const Patience& patience,
                    Response* response);

  // A channel with what the files hold now, if there is none, or one with what they held before a call failed.
  absl::Status Open();

  // Makes `context` the one that Stop() cancels. False after Stop().
  bool Enter(grpc::ClientContext* context);
  void Exit();

  const std::string coordinator_;
  const int max_reply_bytes_;
  const Credentials credentials_;
  // Of the caller: the stub, the files it was made from, and whether its last call met trouble on the way.
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  std::vector<FileStamp> stamps_;
  bool has_failed_ = false;

  Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* in_progress_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace evenkeel::client
