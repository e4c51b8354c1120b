// What a worker keeps while it cannot deliver: how much, what becomes of more, and that all of it is delivered, however
// long it took.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/job_state.h"
#include "tests/bystander.h"
#include "tests/counting_bench.h"
#include "tests/http_get.h"

namespace evenkeel::tests {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class WorkerLogTest : public CountingBench {
 protected:
  // Some workers and a bystander, which is the last contributor.
  static std::vector<Contributor> Watched(int workers) {
    std::vector<Contributor> contributors = Alone(workers);
    contributors.push_back({});
    return contributors;
  }

  void StartWatchedJob(int workers, uint64_t steps, const Flags& flags) {
    StartJob(Watched(workers), steps, flags);
    bystander_ = std::make_unique<Bystander>(Spec());
    ASSERT_EQ(bystander_->Join(NewStub()), absl::OkStatus());
  }

  // The bystander goes to `step`, and notes whose counts were lost on the way.
  void GoAlongTo(uint64_t step) {
    while (bystander_->next_step() <= step) {
      const uint64_t next = bystander_->next_step();
      const absl::StatusOr<v1::CommittedVersion> version = bystander_->Step();
      ASSERT_TRUE(version.ok()) << version.status();
      EXPECT_THAT(version->participants(), Contains(ranks())) << "step " << next;
      for (int rank = 0; rank < ranks(); ++rank) {
        const auto& participants = version->participants();
        if (std::count(participants.begin(), participants.end(), rank) == 0) lost_.insert({next, rank});
      }
    }
  }

  // Workers and bystander go to `step` one step at a time, so that no log fills however long anybody takes.
  void StepTo(uint64_t step) {
    while (bystander_->next_step() <= step) {
      GoTo(bystander_->next_step());
      ASSERT_NO_FATAL_FAILURE(GoAlongTo(bystander_->next_step()));
    }
  }

  // The value of a series of the job's on the metrics page.
  double Metric(const std::string& name) const {
    const std::string page = HttpGet(coordinator_->metrics_address(), "/metrics").value();
    const std::string series = absl::StrCat(name, "{job=\"", job_, "\"} ");
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(page, '\n'))) {
      double value = 0;
      if (line.rfind(series, 0) == 0 && absl::SimpleAtod(line.substr(series.size()), &value)) return value;
    }
    ADD_FAILURE() << "no " << series << "in " << page;
    return -1;
  }

  std::unique_ptr<Bystander> bystander_;
};

TEST_F(WorkerLogTest, WhatIsLostIsToldByTheWorkerAndTheCoordinatorStepByStep) {
  constexpr uint64_t kBefore = 20, kOutage = 30, kSteps = 60;
  constexpr uint64_t kLogSteps = 8;
  StartWatchedJob(2, kSteps, {{"on_loss", "hold"}, {"patience_ms", "500"}, {"log_steps", absl::StrCat(kLogSteps)}});
  ASSERT_NO_FATAL_FAILURE(StepTo(kBefore));
  KillCoordinator();
  GoTo(kBefore + kOutage);
  ASSERT_TRUE(AwaitLines(kBefore + kOutage));

  StartCoordinator();
  GoTo(kSteps);
  ASSERT_EQ(bystander_->Join(NewStub()), absl::OkStatus());
  ASSERT_NO_FATAL_FAILURE(GoAlongTo(kSteps));
  ExpectReferenceAtTheEnd();

  // Each kept the newest and the one that it was delivering. What came while the coordinator was back may have pushed
  // out some more.
  EXPECT_GE(lost_.size(), 2 * (kOutage - kLogSteps));
  EXPECT_EQ(Lines(0).back().lost + Lines(1).back().lost, lost_.size());
  for (const int worker : {0, 1}) {
    EXPECT_GE(Lines(worker)[kBefore + kOutage - 1].lost, kOutage - kLogSteps - 1) << "told while it was so";
  }
  EXPECT_EQ(Metric("evenkeel_lost_contributions_total"), lost_.size());
  // Steps that all have lost were not stale: there was nothing to be.
  EXPECT_GE(Metric("evenkeel_stale_commits_total"), kLogSteps - 2);
}

// What is lost to the coordinator has moved the worker's own bias.
TEST_F(WorkerLogTest, AWorkerMovesOnByItselfWithAFullLog) {
  constexpr uint64_t kBefore = 20, kSteps = 60;
  balance_ = R"({"preset": "loss_free"})";
  for (const std::string lag : {"0", "1"}) {
    SCOPED_TRACE(absl::StrCat("lag ", lag));
    StartWatchedJob(1, kSteps, {{"on_loss", "local"}, {"patience_ms", "300"}, {"log_steps", "4"}, {"lag", lag}});
    ASSERT_NO_FATAL_FAILURE(StepTo(kBefore));
    GoTo(kSteps);
    ASSERT_TRUE(AwaitLines(kSteps));
    const std::vector<job::JobState> states = Reference({});
    for (const StepLine& line : Lines(0)) {
      EXPECT_EQ(line.bias_hash, absl::StrFormat("%016x", job::StateHash(states[line.version + line.staleness])))
          << "step " << line.step;
    }
    EXPECT_GE(Lines(0).back().lost, kSteps - kBefore - 8);

    ASSERT_NO_FATAL_FAILURE(GoAlongTo(kSteps));
    ExpectReferenceAtTheEnd();
    if (HasFatalFailure()) return;
    EXPECT_EQ(Lines(0).back().lost, lost_.size());
  }
}

TEST_F(WorkerLogTest, AFullLogIsAnErrorWhereThatIsAskedFor) {
  StartJob(Alone(1), 100, {{"on_loss", "hold"}, {"patience_ms", "5000"}, {"log_steps", "8"}, {"fail_when_full", "1"}});
  GoTo(10);
  ASSERT_TRUE(AwaitLines(10));
  KillCoordinator();
  GoToTheEnd();
  const Ending ending = worker(0).Wait();
  EXPECT_EQ(ending.exit_code, 1);
  EXPECT_THAT(ending.stderr_text, HasSubstr("loss.log_steps = 8"));
  EXPECT_THAT(ending.stderr_text, HasSubstr("(code 8)"));
}

TEST_F(WorkerLogTest, ALossIsAnErrorWhereThatIsAskedFor) {
  StartJob(Alone(1), 100, {{"on_loss", "fail"}, {"patience_ms", "5000"}});
  GoTo(10);
  ASSERT_TRUE(AwaitLines(10));
  KillCoordinator();
  GoToTheEnd();
  const Ending ending = worker(0).Wait();
  EXPECT_EQ(ending.exit_code, 1);
  EXPECT_THAT(ending.stderr_text, HasSubstr("(code 14)"));
}

// The coordinator remembers a number of versions only. A worker that hears of one while more steps than that still wait
// must not route by it: by the time that such a step is delivered, nobody knows the version any more.
TEST_F(WorkerLogTest, AWorkerThatHasMuchToDeliverGoesOn) {
  constexpr uint64_t kBefore = 20, kHeldUp = 170, kSteps = 350;
  for (const std::string lag : {"0", "1"}) {
    SCOPED_TRACE(absl::StrCat("lag ", lag));
    StartWatchedJob(1, kSteps, {{"on_loss", "hold"}, {"patience_ms", "100"}, {"lag", lag}});
    GoTo(kHeldUp);
    ASSERT_NO_FATAL_FAILURE(GoAlongTo(kBefore));
    ASSERT_TRUE(AwaitLines(kHeldUp));
    // From here on the worker takes a step for each two that are committed.
    uint64_t step = kHeldUp;
    while (bystander_->next_step() < step) {
      GoTo(++step);
      ASSERT_TRUE(AwaitLines(step));
      const absl::Status went = bystander_->GoTo(bystander_->next_step() + 1);
      if (!went.ok()) GoToTheEnd();
      ASSERT_EQ(went, absl::OkStatus()) << worker(0).Wait().stderr_text;
    }
    GoTo(kSteps);
    ASSERT_EQ(bystander_->GoTo(kSteps), absl::OkStatus());
    ExpectReferenceAtTheEnd();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace evenkeel::tests
