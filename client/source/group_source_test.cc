// Groups of ranks that are threads, over real reducers; tests/worker_modes_test.cc has processes.

#include "client/source/group_source.h"

#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/reduce/gloo_reducer.h"
#include "client/reduce/store.h"
#include "client/source/local_source.h"
#include "client/source/payload_counts.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/reference_model.h"
#include "job/test_messages.h"

namespace evenkeel::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr int kRanks = 3;

Deadline In(milliseconds wait) { return std::chrono::steady_clock::now() + wait; }
Deadline Soon() { return In(seconds(60)); }

v1::JobSpec Spec() {
  v1::JobSpec spec = job::TestSpec(/*contributors=*/1);
  spec.mutable_balance()->set_preset("loss_free");
  return spec;
}

// What the leader's coordinator would be: LocalSource, but for what a test makes of Await.
class ScriptedSource : public BiasSource {
 public:
  explicit ScriptedSource(const v1::JobSpec& spec) : local_(std::move(LocalSource::Make(spec)).value()) {}

  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override {
    if (!join_error.ok()) return join_error;
    return local_->Join(next_step, deadline, joined);
  }
  void Push(StepCountsPtr counts) override {
    step_ = counts->step;
    local_->Push(std::move(counts));
  }
  absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) override {
    if (step_ == fails_at) return absl::AbortedError("the coordinator said no");
    if (step_ == held_at) return false;
    if (step_ != late_at || late_answers == 0) return local_->Await(step, deadline, version);
    if (late_answers > 0) --late_answers;
    std::this_thread::sleep_until(deadline);
    return absl::DeadlineExceededError("the coordinator is away");
  }
  absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) override {
    ++leaves;
    if (late_leaves > 0) {
      --late_leaves;
      return absl::DeadlineExceededError("the coordinator is away");
    }
    return local_->Leave(deadline, version);
  }
  Backlog backlog() override { return {7, 3}; }

  absl::Status join_error;
  uint64_t fails_at = 0;
  uint64_t held_at = 0;
  uint64_t late_at = 0;
  int late_answers = 0;  // that come before the version; below 0, no version ever does
  int late_leaves = 0;
  int leaves = 0;

 private:
  std::unique_ptr<LocalSource> local_;
  uint64_t step_ = 0;
};

class GroupSourceTest : public ::testing::Test {
 protected:
  // A place to meet, of this test alone.
  GroupSourceTest() {
    std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/group-XXXXXX");
    store_ = absl::StrCat("file://", mkdtemp(folder.data()));
  }

  std::unique_ptr<Rendezvous> Meeting(int rank) const {
    return std::move(MakeRendezvous(store_, {"job", "group", rank, kRanks}, Incarnation(rank))).value();
  }

  std::unique_ptr<GroupSource> Source(int rank, Commits commits, std::unique_ptr<BiasSource> inner,
                                      const v1::JobSpec& spec = Spec()) {
    GroupMember member;
    member.place = rank;
    member.incarnation = Incarnation(rank);
    member.fingerprint = rank == odd_rank_ ? 2 : 1;
    std::unique_ptr<Rendezvous> meeting = Meeting(rank);
    Rendezvous* const shared = meeting.get();
    GlooOptions gloo;
    gloo.rank = rank;
    gloo.size = kRanks;
    gloo.timeout = seconds(30);
    gloo.toward = "127.0.0.1";
    return std::make_unique<GroupSource>(spec, member, commits, std::move(inner), std::move(meeting),
                                         [gloo, shared] { return MakeGlooReducer(gloo, shared); });
  }

  std::unique_ptr<GroupSource> Follower(int rank) { return Source(rank, Commits::kLeader, nullptr); }
  std::unique_ptr<GroupSource> Leader(std::unique_ptr<BiasSource> inner) {
    return Source(0, Commits::kLeader, std::move(inner));
  }

  // Runs one function a rank, each in a thread.
  template <typename Function>
  static void OnAllRanks(Function function) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < kRanks; ++rank) threads.emplace_back([&function, rank] { function(rank); });
    for (std::thread& thread : threads) thread.join();
  }

  uint64_t Incarnation(int rank) const { return 1000 * life_ + rank; }

  std::string store_;
  int odd_rank_ = -1;
  // A group that meets where another has met is of other processes.
  uint64_t life_ = 1;
};

absl::Status JoinAt(uint64_t step, GroupSource* source) {
  v1::JoinResponse joined;
  return source->Join(step, Soon(), &joined);
}

StepCountsPool& Pool() {
  static StepCountsPool& pool = *new StepCountsPool([] { return std::make_unique<StepCounts>(StepShape{7, 2}); });
  return pool;
}

void PushEmptyStep(uint64_t step, GroupSource* source) {
  StepCountsPtr counts = Pool().Take();
  for (uint64_t& value : counts->sums()) value = 0;
  counts->step = step;
  source->Push(std::move(counts));
}

// Takes a step in which nothing is counted.
absl::Status EmptyStep(uint64_t step, GroupSource* source, v1::CommittedVersion* version) {
  PushEmptyStep(step, source);
  return source->Await(step + 1, Soon(), version).status();
}

TEST_F(GroupSourceTest, EveryRankHasTheTrajectoryOfTheSums) {
  const job::JobPlan plan = job::TestPlan(Spec());
  const job::ReferenceModel model(&plan, {/*seed=*/3, {{0, 1}, {0, 1}, {0, 1}}, /*one_skip_in=*/9, /*scale=*/1});
  const std::vector<job::JobState> trajectory = model.Trajectory(30);
  for (const Commits commits : {Commits::kEveryRank, Commits::kLeader}) {
    ++life_;
    OnAllRanks([&](int rank) {
      std::unique_ptr<BiasSource> inner;
      if (commits == Commits::kEveryRank || rank == 0) inner = std::move(LocalSource::Make(Spec())).value();
      const std::unique_ptr<GroupSource> source = Source(rank, commits, std::move(inner));
      v1::JoinResponse joined;
      ASSERT_EQ(source->Join(1, Soon(), &joined), absl::OkStatus());
      EXPECT_EQ(joined.version().state_hash(), job::StateHash(trajectory[0]));
      EXPECT_EQ(joined.effective().SerializeAsString(), plan.effective.SerializeAsString());
      v1::CommittedVersion version;
      for (uint64_t step = 1; step <= 30; ++step) {
        source->Push(CountsOf(model.Payload(rank, step), step, &Pool()));
        ASSERT_EQ(source->Await(step + 1, Soon(), &version), absl::StatusOr<bool>(true));
        ASSERT_EQ(version.state_hash(), job::StateHash(trajectory[step])) << "rank " << rank << ", step " << step;
        ASSERT_EQ(version.ok(), trajectory[step].ok);
      }
      EXPECT_EQ(source->Leave(Soon(), &version), absl::StatusOr<bool>(false));
    });
  }
}

TEST_F(GroupSourceTest, WhatTheLeaderMeetsAtJoiningAllRanksHear) {
  OnAllRanks([&](int rank) {
    auto inner = std::make_unique<ScriptedSource>(Spec());
    inner->join_error = absl::FailedPreconditionError("the job is at step 7");
    const std::unique_ptr<GroupSource> source = rank == 0 ? Leader(std::move(inner)) : Follower(rank);
    const absl::Status status = JoinAt(1, source.get());
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("the job is at step 7"));
  });
}

TEST_F(GroupSourceTest, ARankThatWasToldSomethingElseIsNamed) {
  odd_rank_ = 1;
  OnAllRanks([&](int rank) {
    const std::unique_ptr<GroupSource> source =
        rank == 0 ? Leader(std::make_unique<ScriptedSource>(Spec())) : Follower(rank);
    const absl::Status status = JoinAt(1, source.get());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(rank == 1 ? "rank 0 of the group" : "rank 1 of the group: its layers"));
  });
}

TEST_F(GroupSourceTest, ARankAtAnotherStepIsNamed) {
  OnAllRanks([&](int rank) {
    const std::unique_ptr<GroupSource> source =
        rank == 0 ? Leader(std::make_unique<ScriptedSource>(Spec())) : Follower(rank);
    const absl::Status status = JoinAt(rank == 2 ? 5 : 1, source.get());
    EXPECT_THAT(std::string(status.message()), HasSubstr(rank == 2 ? "rank 0 of the group: its next_step is 1"
                                                                   : "rank 2 of the group: its next_step is 5"));
  });
}

TEST_F(GroupSourceTest, WhileTheCoordinatorIsAwayAllRanksWaitAndKnowWhy) {
  OnAllRanks([&](int rank) {
    auto inner = std::make_unique<ScriptedSource>(Spec());
    inner->late_at = 2;
    inner->late_answers = 2;
    const std::unique_ptr<GroupSource> source = rank == 0 ? Leader(std::move(inner)) : Follower(rank);
    v1::CommittedVersion version;
    ASSERT_EQ(JoinAt(1, source.get()), absl::OkStatus());
    ASSERT_EQ(EmptyStep(1, source.get(), &version), absl::OkStatus());
    PushEmptyStep(2, source.get());
    absl::Status waiting;
    do {
      waiting = source->Await(3, In(milliseconds(20)), &version).status();
      ASSERT_EQ(waiting.code(), absl::StatusCode::kDeadlineExceeded) << waiting;
    } while (waiting.message().find("the coordinator is away") == absl::string_view::npos);
    ASSERT_EQ(source->Await(3, Soon(), &version), absl::StatusOr<bool>(true));
    EXPECT_EQ(version.version().step(), 2);
    EXPECT_EQ(EmptyStep(3, source.get(), &version), absl::OkStatus());
  });
}

TEST_F(GroupSourceTest, WithALagAllRanksHaveTheSameVersionAStepLater) {
  v1::JobSpec spec = Spec();
  spec.set_lag(1);
  const job::JobPlan plan = job::TestPlan(spec);
  const job::ReferenceModel model(&plan, {/*seed=*/4, {{0, 1}, {0, 1}, {0, 1}}, /*one_skip_in=*/9, /*scale=*/1});
  const std::vector<job::JobState> trajectory = model.Trajectory(20);
  for (const Commits commits : {Commits::kEveryRank, Commits::kLeader}) {
    ++life_;
    OnAllRanks([&](int rank) {
      std::unique_ptr<BiasSource> inner;
      if (commits == Commits::kEveryRank || rank == 0) inner = std::move(LocalSource::Make(spec)).value();
      const std::unique_ptr<GroupSource> source = Source(rank, commits, std::move(inner), spec);
      ASSERT_EQ(JoinAt(1, source.get()), absl::OkStatus());
      v1::CommittedVersion version;
      for (uint64_t step = 1; step <= 20; ++step) {
        source->Push(CountsOf(model.Payload(rank, step), step, &Pool()));
        ASSERT_EQ(source->Await(step + 1, Soon(), &version), absl::StatusOr<bool>(step > 1));
        if (step > 1) {
          ASSERT_EQ(version.state_hash(), job::StateHash(trajectory[step - 1])) << "rank " << rank;
        }
      }
      ASSERT_EQ(source->Leave(Soon(), &version), absl::StatusOr<bool>(true));
      EXPECT_EQ(version.state_hash(), job::StateHash(trajectory[20])) << "rank " << rank;
    });
  }
}

TEST_F(GroupSourceTest, WhatTheLeaderHoldsOnToAllRanksHoldOnTo) {
  OnAllRanks([&](int rank) {
    auto inner = std::make_unique<ScriptedSource>(Spec());
    inner->held_at = 2;
    const std::unique_ptr<GroupSource> source = rank == 0 ? Leader(std::move(inner)) : Follower(rank);
    v1::CommittedVersion version;
    ASSERT_EQ(JoinAt(1, source.get()), absl::OkStatus());
    for (uint64_t step = 1; step <= 3; ++step) {
      PushEmptyStep(step, source.get());
      ASSERT_EQ(source->Await(step + 1, Soon(), &version), absl::StatusOr<bool>(step != 2));
    }
    EXPECT_EQ(source->backlog().undelivered, rank == 0 ? 7 : 0);
    EXPECT_EQ(source->backlog().lost, rank == 0 ? 3 : 0);
  });
}

TEST_F(GroupSourceTest, LeavingIsBoundMayBeRepeatedAndHappensOnce) {
  OnAllRanks([&](int rank) {
    auto inner = std::make_unique<ScriptedSource>(Spec());
    inner->late_leaves = 3;
    ScriptedSource* const coordinator = inner.get();
    const std::unique_ptr<GroupSource> source = rank == 0 ? Leader(std::move(inner)) : Follower(rank);
    v1::CommittedVersion version;
    ASSERT_EQ(JoinAt(1, source.get()), absl::OkStatus());
    ASSERT_EQ(EmptyStep(1, source.get(), &version), absl::OkStatus());
    EXPECT_EQ(source->Leave(In(milliseconds(0)), &version).status().code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(source->Leave(Soon(), &version), absl::StatusOr<bool>(false));
    if (rank == 0) {
      EXPECT_EQ(coordinator->leaves, 4);
    }
  });
}

TEST_F(GroupSourceTest, RanksThatCommittedNothingLeaveWithoutMeeting) {
  OnAllRanks([&](int rank) {
    const std::unique_ptr<GroupSource> source =
        rank == 0 ? Leader(std::make_unique<ScriptedSource>(Spec())) : Follower(rank);
    v1::CommittedVersion version;
    ASSERT_EQ(JoinAt(1, source.get()), absl::OkStatus());
    EXPECT_EQ(source->Leave(Soon(), &version), absl::StatusOr<bool>(false));
  });
}

TEST_F(GroupSourceTest, AnErrorOfTheLeadersIsEverybodysAndStays) {
  OnAllRanks([&](int rank) {
    auto inner = std::make_unique<ScriptedSource>(Spec());
    inner->fails_at = 2;
    const std::unique_ptr<GroupSource> source = rank == 0 ? Leader(std::move(inner)) : Follower(rank);
    v1::CommittedVersion version;
    ASSERT_EQ(JoinAt(1, source.get()), absl::OkStatus());
    ASSERT_EQ(EmptyStep(1, source.get(), &version), absl::OkStatus());
    for (uint64_t step = 2; step <= 3; ++step) {
      const absl::Status status = EmptyStep(step, source.get(), &version);
      EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
      EXPECT_THAT(std::string(status.message()), HasSubstr("the coordinator said no"));
    }
  });
}

TEST_F(GroupSourceTest, ARankThatGoesAwayEndsTheGroupAtOnce) {
  OnAllRanks([&](int rank) {
    std::unique_ptr<GroupSource> source = rank == 0 ? Leader(std::make_unique<ScriptedSource>(Spec())) : Follower(rank);
    v1::CommittedVersion version;
    ASSERT_EQ(JoinAt(1, source.get()), absl::OkStatus());
    ASSERT_EQ(EmptyStep(1, source.get(), &version), absl::OkStatus());
    if (rank == 1) return source.reset();
    EXPECT_EQ(EmptyStep(2, source.get(), &version).code(), absl::StatusCode::kUnavailable);
  });
}

TEST_F(GroupSourceTest, EndsWithACommitUnderWay) {
  OnAllRanks([&](int rank) {
    auto inner = std::make_unique<ScriptedSource>(Spec());
    inner->late_at = 1;
    inner->late_answers = -1;
    std::unique_ptr<GroupSource> source = rank == 0 ? Leader(std::move(inner)) : Follower(rank);
    v1::CommittedVersion version;
    ASSERT_EQ(JoinAt(1, source.get()), absl::OkStatus());
    PushEmptyStep(1, source.get());
    EXPECT_EQ(source->Await(2, In(milliseconds(50)), &version).status().code(), absl::StatusCode::kDeadlineExceeded);
    source.reset();
  });
}

}  // namespace
}  // namespace evenkeel::client
