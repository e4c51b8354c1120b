#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/server.h"

namespace evenkeel::client {

// A coordinator for tests, over real gRPC on a free port of the loopback. It serves one job of one contributor
// honestly, save for the answers that a test scripts. Thread-safe.
class ScriptedCoordinator {
 public:
  using JoinAnswer = std::function<absl::Status(const v1::JoinRequest&, v1::JoinResponse*)>;
  using PushAnswer = std::function<absl::Status(const v1::PushRequest&, v1::CommittedVersion*)>;

  // Serves from the start, in epoch 1, with `committed_step` steps behind it.
  explicit ScriptedCoordinator(uint64_t committed_step = 0);
  ~ScriptedCoordinator();

  // host:port, the same after Stop and Start.
  std::string address() const;
  // Breaks all connections. What is parked ends.
  void Stop();
  // Serves again, in `epoch`.
  void Start(uint64_t epoch);

  // Answers the next Join, or Push, that no earlier script answers. Scripts run in the order given, one per call.
  void ScriptJoin(JoinAnswer answer);
  void ScriptPush(PushAnswer answer);

  // The honest answers, for scripts that tamper with them. A push of the open step commits it.
  absl::Status AnswerJoin(const v1::JoinRequest& request, v1::JoinResponse* response);
  absl::Status AnswerPush(const v1::PushRequest& request, v1::CommittedVersion* version);
  // A script's way of not answering: waits for Stop or the destructor, and is UNAVAILABLE.
  absl::Status Park();

  // The version that the honest coordinator makes of `step`: bias[i] of the flat array is step + i / 8.
  v1::CommittedVersion VersionOf(uint64_t epoch, uint64_t step) const;

  // Requests in the order of their arrival. The waiting forms return once there are `count` of them, or fail the test
  // after ten seconds.
  std::vector<v1::JoinRequest> Joins() const;
  std::vector<v1::PushRequest> Pushes() const;
  std::vector<v1::LeaveRequest> Leaves() const;
  void AwaitJoins(size_t count);
  void AwaitPushes(size_t count);
  std::vector<v1::HeartbeatRequest> AwaitHeartbeats(size_t count);

 private:
  class Service;

  template <typename Request, typename Answer>
  Answer Take(const Request& request, std::vector<Request>* log, std::deque<Answer>* script)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  template <typename Request>
  void AwaitSize(const std::vector<Request>& log, size_t count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::CommittedVersion Version(uint64_t epoch, uint64_t step) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;

  mutable Mutex mutex_;
  CondVar changed_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t committed_step_ ABSL_GUARDED_BY(mutex_);
  uint64_t committed_epoch_ ABSL_GUARDED_BY(mutex_) = 1;
  v1::JobSpec job_ ABSL_GUARDED_BY(mutex_);
  std::deque<JoinAnswer> join_script_ ABSL_GUARDED_BY(mutex_);
  std::deque<PushAnswer> push_script_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::JoinRequest> joins_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::PushRequest> pushes_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::LeaveRequest> leaves_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::HeartbeatRequest> heartbeats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evenkeel::client
