#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/core/coordinator.h"
#include "server/core/simulation/checker.h"
#include "server/core/simulation/parts.h"
#include "server/core/simulation/random.h"
#include "server/core/simulation/world.h"

namespace evenkeel::core::simulation {

// The process around the coordinator: it collects events into batches, makes what they changed durable, and then
// answers. It can die before the write, after it, and between any two answers or events; what it had not written is
// gone then, and calls that waited are cut off.
class Server {
 public:
  template <typename T>
  using Done = std::function<void(const absl::StatusOr<T>&)>;
  using Version = std::shared_ptr<const v1::CommittedVersion>;

  // All outlive the server. `checkers` by the names of their jobs.
  Server(World* world, Parts* parts, const v1::CoordinatorConfig& config,
         const std::map<std::string, JobChecker*>& checkers);

  // Calls as they arrive from the network. `done` is called when the answer leaves, which may be never.
  void Join(const v1::JoinRequest& request, Done<v1::JoinResponse> done);
  // `caller` names the client's call; the network may deliver it twice.
  void Push(uint64_t caller, v1::PushRequest request, Done<Version> done);
  void Cancel(const std::string& job, uint64_t caller);
  void Heartbeat(const v1::HeartbeatRequest& request, Done<v1::HeartbeatResponse> done);
  void Leave(const v1::LeaveRequest& request, Done<v1::LeaveResponse> done);
  // Time has passed.
  void Tick();

  // Begins a life. Between the two lives the server is down.
  void Start();
  // Ends it: at once, or as SIGTERM does.
  void Crash();
  void Stop();
  bool up() const { return coordinator_.has_value(); }

  // The next write is interrupted, or one of the first answers after it.
  void InterruptWrite(int after_answers) { interrupted_after_ = after_answers; }
  // From then on none is.
  void Heal() { interrupted_after_.reset(); }

  // Whether a call waits for its answer.
  bool HasParkedCalls() const { return !parked_.empty(); }

 private:
  struct Parked {
    std::string job;
    uint64_t caller = 0;
    Done<Version> done;
  };

  // Numbers for something that happens now.
  Random Draw(absl::string_view what) const;
  // Tells the checkers what an event has come to, besides its answer: what was committed since there were so many
  // commits, and what became of the job.
  void Tell(const std::string& job, size_t commits);
  // What is on disk of an expired job comes back.
  void Wake(const std::string& job);
  // Whether its answer only waits to be written.
  bool IsDecided(CallId call) const;
  int CountWaiting(const std::string& job) const;
  // A batch is written some time after its first event.
  void ScheduleFlush();
  void Flush();
  bool InterruptedAt(const char* place);
  void Write();
  // False when the server died on the way.
  bool SendAnswers();
  void Send(const Answer& answer);
  void CheckMemory();

  const JobRecord* RecordOf(const std::string& job) const { return world_->disk.Find(job); }

  World* const world_;
  Parts* const parts_;
  const v1::CoordinatorConfig config_;
  const std::map<std::string, JobChecker*>& checkers_;
  // After so many places where a write can be.
  std::optional<int> interrupted_after_;

  // Of one life.
  std::optional<Coordinator> coordinator_;
  uint64_t life_ = 0;
  bool flush_scheduled_ = false;
  Effects effects_;
  std::vector<std::function<void()>> replies_;
  std::map<CallId, Parked> parked_;
  // Calls whose callers had gone before their answers were decided.
  std::set<CallId> gone_;
  CallId next_call_ = 1;
};

}  // namespace evenkeel::core::simulation
