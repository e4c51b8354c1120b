#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "server/core/simulation/checker.h"
#include "server/core/simulation/network.h"
#include "server/core/simulation/random.h"
#include "server/core/simulation/server.h"
#include "server/core/simulation/world.h"

namespace evenkeel::core::simulation {

// What a contributor's processes leave to each other, as a trainer's checkpoint would.
struct Checkpoint {
  // The step to run next.
  uint64_t next_step = 1;
  // The training has restarted: the job is to go back to it, until one of the processes has joined; with the state that
  // the checkpoint holds, or without. In a job that goes on without who is missing all contributors share it: who comes
  // when the job has gone back joins where it is by then.
  std::shared_ptr<bool> rewind = std::make_shared<bool>(false);
  std::optional<v1::Snapshot> snapshot = {};
  // How often the training has restarted: each time it sees other tokens.
  uint64_t training = 0;
};

// One process of a contributor, from start to death: the client's side of the protocol. It joins, says that it is
// alive, pushes step after step, repeats with the same payload what it hears no answer to, and joins again when the
// coordinator has restarted. Where the coordinator is out of reach, or slow, it may run further steps with the newest
// version that it has, and deliver them later, in order; some processes move their bias on by themselves then, and some
// lose counts. What it knows of versions it has heard in its own life. Any refusal that an honest contributor should
// never see goes to the journal as a breach.
class Worker {
 public:
  struct Options {
    int contributor = 0;
    // Among those of its contributor, from 0.
    int process = 0;
    uint64_t incarnation = 0;
    // The first step that it means to run.
    uint64_t next_step = 1;
    // Runs steps again that the job has been through, and does not push them.
    bool catch_up = false;
    std::function<void()> on_death;
  };

  // All outlive the worker, and the worker outlives the history: messages to it may still be on their way.
  Worker(World* world, Server* server, JobChecker* checker, Checkpoint* checkpoint, Options options);

  void Start() { Join(); }
  // It hears and says nothing any more.
  void Die(const char* why);
  // It gives its slot back before it dies.
  void Leave();
  // It runs no step for so long, though it is alive; or every step takes longer.
  void Hang(int duration_ms);
  void SlowDown(int duration_ms);
  // Nothing that it says, or is told, arrives for so long.
  void CutOff(Direction direction, int duration_ms);

  bool dead() const { return dead_; }
  bool finished() const { return finished_; }
  uint64_t step() const { return step_; }
  // job/contributor.process
  const std::string& name() const { return name_; }

 private:
  using Action = void (Worker::*)();
  // A step that it has run, and what it will say of it however often it pushes it.
  struct Ran {
    v1::Version routed_with;
    bool provisional = false;
    bool counts_lost = false;
  };

  // Begins a call of which one answer is awaited, for so long; then `again` is run.
  uint64_t Begin(int timeout_ms, Action again);
  // Whether the answer to that call is still awaited; from now on it is not.
  bool End(uint64_t call);
  bool IsCutOff() const { return link_.IsCut(Direction::kToServer) || link_.IsCut(Direction::kFromServer); }
  // By way of the network.
  void ToServer(EventLoop::Event deliver) { link_.Send(Direction::kToServer, std::move(deliver)); }
  void FromServer(EventLoop::Event deliver) { link_.Send(Direction::kFromServer, std::move(deliver)); }
  bool Strikes(bool drawn, const char* what, uint64_t step);
  // Runs `action` after a pause in which nothing is awaited.
  void After(int delay_ms, Action action);
  void Breach(const char* call, const absl::Status& status);

  void Join();
  void OnJoined(const absl::StatusOr<v1::JoinResponse>& response);
  void OnJoinRefused(const absl::Status& status);
  // Again and again, whatever the training does.
  void Heartbeat();
  void OnHeartbeat(const absl::Status& status);
  // Whether the job goes on without who is missing.
  bool IsElastic() const;
  // Whether that is what the process is told, which ends it.
  bool FailedWithItsJob(const absl::Status& status);

  void Run();
  void RunAhead();
  void Push();
  void OnPushed(const absl::StatusOr<Server::Version>& version);
  void OnPushRefused(const absl::Status& status);
  void CancelPush();
  void SendLeave();
  void OnLeft(const absl::Status& status);

  void Learn(const v1::CommittedVersion& version);
  void Hear(const v1::CommittedVersion& version);
  // To the step after the newest version, or to the end.
  void GoOn();
  v1::PushRequest MakePush() const;

  World* const world_;
  Server* const server_;
  JobChecker* const checker_;
  Checkpoint* const checkpoint_;
  const Options options_;
  const std::string name_;
  Random random_;
  Link link_;

  // To be delivered next.
  uint64_t step_;
  // The steps that it has run, from step_ on.
  std::deque<Ran> log_;
  // What it has heard of, by step.
  std::map<uint64_t, v1::Version> versions_;
  // Moves its bias on by itself while it hears nothing.
  const bool provisional_;
  int64_t hangs_until_ms_ = 0;
  int64_t slow_until_ms_ = 0;
  bool beating_ = false;
  // It has asked for the step after the open one.
  bool comes_between_ = false;
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
