// A real evenkeeld that is killed again and again, at any moment, under two contributors that push as fast as they are
// answered: no step is lost, and the trajectory is that of a coordinator that was never killed.

#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/grpc_status.h"
#include "base/mutex.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/core/coordinator.h"
#include "tests/child_process.h"
#include "tests/evenkeeld_process.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

constexpr int kContributors = 2;
constexpr int kKills = 200;
constexpr uint64_t kForEver = ~uint64_t{0};

uint64_t IncarnationOf(int contributor) { return 1001 + contributor; }

// The state hashes of steps 1 to `last`, by a coordinator in this process that nothing happens to.
std::vector<uint64_t> ReferenceHashes(const v1::JobSpec& job, uint64_t last) {
  core::Coordinator coordinator{v1::CoordinatorConfig()};
  core::Effects effects;
  v1::JoinResponse joined;
  for (int contributor = 0; contributor < kContributors; ++contributor) {
    joined =
        coordinator.Join(absl::UnixEpoch(), JoinOf(job, contributor, IncarnationOf(contributor), 1), &effects).value();
  }
  std::vector<uint64_t> hashes;
  for (uint64_t step = 1; step <= last; ++step) {
    effects = core::Effects();
    for (int contributor = 0; contributor < kContributors; ++contributor) {
      v1::PushRequest push = PushOf(job, contributor, IncarnationOf(contributor), step, joined);
      coordinator.Push(absl::UnixEpoch(), /*call=*/contributor + 1, &push, &effects);
    }
    *joined.mutable_version() = **effects.answers.at(0).reply;
    hashes.push_back(joined.version().state_hash());
  }
  return hashes;
}

// One blocking call, which ends when the coordinator does: the next life is another's to find.
template <typename Response, typename Request>
absl::StatusOr<Response> Call(v1::BiasCoordinator::Stub* stub,
                              grpc::Status (v1::BiasCoordinator::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                                Response*),
                              const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  Response response;
  const absl::Status status = FromGrpcStatus((stub->*method)(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

// The coordinator of the moment, life after life. Thread-safe.
class Lives {
 public:
  using Stub = std::shared_ptr<v1::BiasCoordinator::Stub>;

  void Begin(Stub stub) {
    MutexLock lock(&mutex_);
    stub_ = std::move(stub);
    ++life_;
    begun_.NotifyAll();
  }
  // No life comes after the one that is.
  void BeLast() {
    MutexLock lock(&mutex_);
    last_ = true;
    begun_.NotifyAll();
  }
  // The stub of a life after `life`, which is set to it; null when there will be none.
  Stub After(int* life) {
    MutexLock lock(&mutex_);
    while (life_ == *life && !last_) begun_.Wait(&mutex_);
    if (life_ == *life) return nullptr;
    *life = life_;
    return stub_;
  }

 private:
  Mutex mutex_;
  CondVar begun_;
  Stub stub_ ABSL_GUARDED_BY(mutex_);
  int life_ ABSL_GUARDED_BY(mutex_) = 0;
  bool last_ ABSL_GUARDED_BY(mutex_) = false;
};

// How far the contributors are to go. Thread-safe.
class Goal {
 public:
  bool Reached(uint64_t step) {
    MutexLock lock(&mutex_);
    furthest_ = std::max(furthest_, step);
    return step >= last_;
  }
  // A few steps beyond where anyone is.
  uint64_t Set() {
    MutexLock lock(&mutex_);
    return last_ = furthest_ + 10;
  }

 private:
  Mutex mutex_;
  uint64_t furthest_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = kForEver;
};

// One contributor, on a thread of its own: repeats every push until it is answered, by whichever life.
class Contributor {
 public:
  Contributor(v1::JobSpec job, int number, Lives* lives, Goal* goal)
      : job_(std::move(job)), number_(number), lives_(lives), goal_(goal), thread_([this] { Run(); }) {}

  // Waits for its end. OK when it went to the goal.
  absl::Status Join() {
    thread_.join();
    return end_;
  }
  // Of each step, from 1, what it was told. After Join.
  const std::vector<std::string>& replies() const { return replies_; }
  const std::vector<uint64_t>& hashes() const { return hashes_; }

 private:
  void Run() {
    int life = 0;
    while (Lives::Stub stub = lives_->After(&life)) {
      end_ = RunIn(stub.get());
      if (end_.ok() || end_.code() != absl::StatusCode::kUnavailable) return;
    }
  }

  // UNAVAILABLE when the life is over.
  absl::Status RunIn(v1::BiasCoordinator::Stub* stub) {
    const uint64_t next = replies_.size() + 1;
    const auto joined = Call<v1::JoinResponse>(stub, &v1::BiasCoordinator::Stub::Join,
                                               JoinOf(job_, number_, IncarnationOf(number_), next));
    if (!joined.ok()) return joined.status();
    if (joined->open_step() < next) return absl::DataLossError(absl::StrCat("step ", next - 1, " was lost"));
    if (replies_.empty()) routed_with_ = joined->version();
    v1::JoinResponse in_force = *joined;
    while (!goal_->Reached(replies_.size())) {
      *in_force.mutable_version() = routed_with_;
      const auto version =
          Call<v1::CommittedVersion>(stub, &v1::BiasCoordinator::Stub::Push,
                                     PushOf(job_, number_, IncarnationOf(number_), replies_.size() + 1, in_force));
      if (!version.ok()) return version.status();
      routed_with_ = *version;
      replies_.push_back(version->SerializeAsString());
      hashes_.push_back(version->state_hash());
    }
    return absl::OkStatus();
  }

  const v1::JobSpec job_;
  const int number_;
  Lives* const lives_;
  Goal* const goal_;
  v1::CommittedVersion routed_with_;
  std::vector<std::string> replies_;
  std::vector<uint64_t> hashes_;
  absl::Status end_;
  std::thread thread_;
};

class CoordinatorKillTest : public ::testing::Test {
 protected:
  CoordinatorKillTest() : random_(std::random_device()()) { options_.state_dir = NewFolder("state"); }

  void Start() {
    absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(options_);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    lives_.Begin(process_->NewStub());
  }

  // Anywhere in a commit, or between two.
  void LetTimePass(int at_most) { absl::SleepFor(absl::Microseconds(random_() % (1000 * at_most))); }

  void Kill() {
    process_->Signal(SIGKILL);
    EXPECT_EQ(process_->Wait().signal, SIGKILL);
  }

  // A life that does not get to its first call, or hardly.
  void StartAndKill() {
    ChildProcess unborn({BuiltProgram("server/evenkeeld"), "--state_dir=" + options_.state_dir, "--listen=127.0.0.1:0",
                         "--metrics_listen=none"});
    LetTimePass(40);
    unborn.Signal(SIGKILL);
    EXPECT_EQ(unborn.Wait().signal, SIGKILL);
  }

  EvenkeeldProcess::Options options_;
  std::unique_ptr<EvenkeeldProcess> process_;
  Lives lives_;
  std::mt19937 random_;
};

TEST_F(CoordinatorKillTest, LosesNoStep) {
  const v1::JobSpec job = SmallJob("run", kContributors);
  Goal goal;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<std::unique_ptr<Contributor>> contributors;
  for (int number = 0; number < kContributors; ++number) {
    contributors.push_back(std::make_unique<Contributor>(job, number, &lives_, &goal));
  }
  for (int kills = 0; kills < kKills && !HasFatalFailure(); ++kills) {
    LetTimePass(30);
    Kill();
    if (kills % 8 == 7) {
      StartAndKill();
      ++kills;
    }
    Start();
  }
  const uint64_t last = goal.Set();
  lives_.BeLast();
  for (const auto& contributor : contributors) {
    const absl::Status end = contributor->Join();
    EXPECT_TRUE(end.ok()) << end;
  }

  const std::vector<uint64_t> reference = ReferenceHashes(job, last);
  int lost = 0;
  for (const auto& contributor : contributors) {
    ASSERT_EQ(contributor->hashes().size(), last);
    EXPECT_EQ(contributor->hashes(), reference);
    for (uint64_t i = 0; i < last; ++i) lost += contributor->hashes()[i] != reference[i];
  }
  EXPECT_EQ(contributors[0]->replies(), contributors[1]->replies());
  std::cout << "fault SIGKILL of the coordinator: " << kKills << " injected in " << last << " steps, " << lost
            << " steps lost\n";
  EXPECT_GT(last, kKills / 10) << "between kills steps are committed";
}

}  // namespace
}  // namespace evenkeel::tests
