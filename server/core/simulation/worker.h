#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "server/core/simulation/checker.h"
#include "server/core/simulation/server.h"
#include "server/core/simulation/world.h"

namespace evenkeel::core::simulation {

// What a contributor's processes leave to each other, as a trainer's checkpoint would.
struct Checkpoint {
  // The step to run next.
  uint64_t next_step = 1;
  // The versions heard of, by step.
  std::map<uint64_t, v1::Version> versions;
};

// One process of a contributor, from start to death: the client's side of the protocol. It joins, pushes step after
// step, repeats with the same payload what it hears no answer to, and joins again when the coordinator has restarted.
// Any refusal that an honest contributor should never see goes to the journal as a breach.
class Worker {
 public:
  struct Options {
    int contributor = 0;
    uint64_t incarnation = 0;
    // The first step that it means to run.
    uint64_t next_step = 1;
    std::function<void()> on_death;
  };

  // All outlive the worker, and the worker outlives the history: messages to it may still be on their way.
  Worker(World* world, Server* server, JobChecker* checker, Checkpoint* checkpoint, Options options);

  void Start() { Join(); }
  // It hears and says nothing any more.
  void Die(const char* why);
  // It gives its slot back before it dies.
  void Leave();

  bool dead() const { return dead_; }
  bool finished() const { return finished_; }
  uint64_t step() const { return step_; }
  // job/contributor#incarnation
  const std::string& name() const { return name_; }

 private:
  using Action = void (Worker::*)();

  // Begins a call of which one answer is awaited, for so long; then `again` is run.
  uint64_t Begin(int timeout_ms, Action again);
  // Whether the answer to that call is still awaited; from now on it is not.
  bool End(uint64_t call);
  // Runs `action` after a pause in which nothing is awaited.
  void After(int delay_ms, Action action);
  void Breach(const char* call, const absl::Status& status);

  void Join();
  void OnJoined(const absl::StatusOr<v1::JoinResponse>& response);
  void OnJoinRefused(const absl::Status& status);
  void Push();
  void OnPushed(const absl::StatusOr<Server::Version>& version);
  void OnPushRefused(const absl::Status& status);
  void CancelPush();
  void SendLeave();
  void OnLeft(const absl::Status& status);

  void Hear(const v1::CommittedVersion& version);
  // To the step after the newest version, or to the end.
  void GoOn();
  v1::PushRequest MakePush();

  World* const world_;
  Server* const server_;
  JobChecker* const checker_;
  Checkpoint* const checkpoint_;
  const Options options_;
  const std::string name_;

  uint64_t step_;
  uint64_t epoch_ = 0;
  bool joined_ = false;
  bool dead_ = false;
  bool finished_ = false;
  v1::Version newest_;
  uint64_t call_ = 0;
  // The push that waits; 0: none.
  uint64_t pushing_ = 0;
};

}  // namespace evenkeel::core::simulation
