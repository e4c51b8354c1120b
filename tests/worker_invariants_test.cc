// Workers whose numbers cannot be right, by the public headers and a real evenkeeld: each is named within the step, in
// the workers' reports, on the metrics page and in the log.

#include <signal.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/child_process.h"
#include "tests/evenkeeld_process.h"
#include "tests/http_get.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kExperts = 16;
constexpr int kLayers = 2;
constexpr uint64_t kTokens = 64;

class WorkerInvariantsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    coordinator_options_.state_dir = NewFolder("state");
    StartCoordinator();
    options_.job = "run";
    options_.balance = R"({"preset": "loss_free"})";
    options_.layers = {{"a", kExperts, 1, ""}, {"b", kExperts, 1, ""}};
  }

  void StartCoordinator() {
    auto process = EvenkeeldProcess::Start(coordinator_options_);
    ASSERT_TRUE(process.ok()) << process.status();
    coordinator_ = *std::move(process);
    coordinator_options_.listen = coordinator_->address();
    options_.coordinator = coordinator_->address();
  }

  // All ranks at once, for those of a group wait for each other.
  void Join(int ranks) {
    options_.world_size = ranks;
    workers_.resize(ranks);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([this, rank] {
        WorkerOptions options = options_;
        options.rank = rank;
        auto joined = Worker::Join(options);
        EXPECT_TRUE(joined.ok()) << "rank " << rank << ": " << joined.status().message();
        if (joined.ok()) workers_[rank] = std::move(*joined);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& worker : workers_) {
      ASSERT_NE(worker, nullptr);
      Must(worker->BeginStep(step_));
    }
  }

  // What `rank` counts: of no two ranks or steps the same, unless twin_ says so.
  void Count(int rank, uint64_t step) {
    const int of = rank == twin_ ? twin_of_ : rank;
    std::vector<uint64_t> counts(kExperts);
    counts[0] = kTokens - 10;
    counts[1 + of] = 9;
    counts[1 + (of + step) % (kExperts - 1)] += 1;
    for (int layer = 0; layer < kLayers; ++layer) {
      if (layer != silent_layer_) Must(workers_[rank]->AddCounts(layer, counts.data(), kTokens));
    }
  }

  void Must(const Status& status) { ASSERT_TRUE(status.ok()) << status.message(); }

  // The step that is begun, to its end; with the next, all ranks hear what was made of it. `tamper(rank)` runs before
  // the commits.
  template <typename Tamper>
  void Step(Tamper tamper) {
    for (int rank = 0; rank < static_cast<int>(workers_.size()); ++rank) {
      Count(rank, step_);
      tamper(rank);
    }
    for (auto& worker : workers_) Must(worker->Commit(step_));
    ++step_;
    for (auto& worker : workers_) Must(worker->BeginStep(step_));
    for (auto& worker : workers_) {
      EXPECT_EQ(worker->report().step, step_ - 1);
      EXPECT_EQ(worker->report().violations, violations());
      EXPECT_EQ(worker->report().halted, halted());
    }
  }
  void Step() {
    Step([](int) {});
  }
  void StepsTo(uint64_t step) {
    while (step_ <= step) Step();
  }

  // Of the last step.
  int violations() const { return workers_[0]->report().violations; }
  bool halted() const { return workers_[0]->report().halted; }

  v1::DescribeJobResponse Describe() const {
    v1::DescribeJobRequest request;
    request.set_job(options_.job);
    v1::DescribeJobResponse response;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    EXPECT_TRUE(coordinator_->NewStub()->DescribeJob(&context, request, &response).ok());
    return response;
  }

  // The metrics page, once it says so, as it does soon after the workers have heard: or as it is after ten seconds.
  std::string PageWith(const std::string& line) const {
    const absl::Time end = absl::Now() + absl::Seconds(10);
    while (true) {
      const std::string page = HttpGet(coordinator_->metrics_address(), "/metrics").value_or("");
      if (absl::StrContains(page, line) || absl::Now() > end) return page;
    }
  }
  void ExpectOnPage(const std::string& line) const { EXPECT_THAT(PageWith(line), HasSubstr(line)); }
  static std::string Failures(const std::string& invariant, int count) {
    return absl::StrCat("evenkeel_invariant_failures_total{job=\"run\",invariant=\"", invariant, "\"} ", count, "\n");
  }

  // What the coordinator has told people when it has ended.
  std::string Log() {
    coordinator_->Signal(SIGTERM);
    return coordinator_->Wait().stderr_text;
  }

  EvenkeeldProcess::Options coordinator_options_;
  std::unique_ptr<EvenkeeldProcess> coordinator_;
  WorkerOptions options_;
  std::vector<std::unique_ptr<Worker>> workers_;
  uint64_t step_ = 1;  // that is begun
  int twin_ = -1;
  int twin_of_ = -1;
  int silent_layer_ = -1;
};

TEST_F(WorkerInvariantsTest, ARunThatIsRightIsNotSuspected) {
  options_.tokens_per_step = 3 * kTokens;
  Join(3);
  StepsTo(5);
  // Steps that are skipped, ranks without tokens, and layers that rest.
  silent_layer_ = 0;
  Step();
  for (auto& worker : workers_) Must(worker->Commit(step_, /*ok=*/false));
  ++step_;
  for (auto& worker : workers_) Must(worker->BeginStep(step_));
  for (auto& worker : workers_) Must(worker->Commit(step_));
  ++step_;
  for (auto& worker : workers_) Must(worker->BeginStep(step_));
  Step();
  EXPECT_EQ(Describe().violations_size(), 0);
  for (const char* invariant :
       {"counts", "dispatched", "bias_differs", "same_tokens", "too_many_tokens", "silent_layer", "zero_bias"}) {
    ExpectOnPage(Failures(invariant, 0));
  }
  ExpectOnPage("evenkeel_job_halted{job=\"run\"} 0\n");
  EXPECT_THAT(Log(), Not(HasSubstr("job \"run\", step")));
}

TEST_F(WorkerInvariantsTest, Pitfall07SiblingsDeclaredAsRanksOfTheirOwnAreNamedWithinTheStep) {
  Join(4);
  StepsTo(2);
  EXPECT_EQ(violations(), 0);
  twin_ = 3;
  twin_of_ = 2;
  Step();
  EXPECT_EQ(violations(), 1);
  EXPECT_FALSE(halted());
  const v1::DescribeJobResponse job = Describe();
  ASSERT_EQ(job.violations_size(), 1);
  EXPECT_EQ(job.violations(0).kind(), v1::Violation::SAME_TOKENS);
  EXPECT_THAT(job.violations(0).ranks(), testing::ElementsAre(2, 3));
  ExpectOnPage(Failures("same_tokens", 1));
  twin_ = -1;
  Step();
  EXPECT_EQ(violations(), 0) << "a report is of its step";
  ExpectOnPage(Failures("same_tokens", 1));
  EXPECT_THAT(Log(), HasSubstr("job \"run\", step 3: same tokens: ranks 2 and 3 counted the very same"));
}

TEST_F(WorkerInvariantsTest, Pitfall07RanksOfAGroupAreToldApart) {
  options_.group.name = "ep";
  options_.group.expert_parallel_size = 2;
  Join(4);
  Step();
  twin_ = 3;
  twin_of_ = 0;  // of the other group
  Step();
  EXPECT_EQ(violations(), 1) << "on every rank, its leader's or not";
  EXPECT_THAT(Describe().violations(0).ranks(), testing::ElementsAre(0, 3));
}

// What an optimizer, a cast or an offloader would do to it.
TEST_F(WorkerInvariantsTest, Pitfall38ABiasThatSomethingElseWritesIsNamedWithinTheStep) {
  options_.group.name = "ep";
  options_.group.expert_parallel_size = 2;
  Join(4);
  StepsTo(2);
  Step([&](int rank) {
    if (rank == 1) const_cast<float*>(workers_[rank]->bias(1))[kExperts - 1] += 0.0001f;
  });
  EXPECT_EQ(violations(), 1);
  const v1::DescribeJobResponse job = Describe();
  EXPECT_EQ(job.violations(0).kind(), v1::Violation::BIAS_DIFFERS);
  EXPECT_THAT(job.violations(0).ranks(), testing::ElementsAre(1));
  Step();
  EXPECT_EQ(violations(), 0) << "the next version has mended it";
  ExpectOnPage("evenkeel_bias_hash_mismatch_total{job=\"run\"} 1\n");
  EXPECT_THAT(Log(), HasSubstr("step 3: bias differs: rank 1 routed with another bias"));
}

TEST_F(WorkerInvariantsTest, Pitfall13ALayerThatNeverCountsIsAnErrorAtTheEndOfWarmUp) {
  options_.balance = R"({"preset": "loss_free", "warmup_steps": 3})";
  silent_layer_ = 1;
  Join(2);
  StepsTo(2);
  EXPECT_EQ(violations(), 0);
  Step();
  EXPECT_EQ(violations(), 1);
  EXPECT_EQ(Describe().violations(0).layer(), "b");
  Step();
  EXPECT_EQ(violations(), 0) << "it is told once";
  // And it stays to be seen that the layer never moves.
  ExpectOnPage("evenkeel_layer_last_update_step{job=\"run\",layer=\"a\"} 4\n");
  ExpectOnPage("evenkeel_layer_last_update_step{job=\"run\",layer=\"b\"} 0\n");
  EXPECT_EQ(Describe().layers(1).last_reason(), v1::UpdateReason::NO_TOKENS);
  EXPECT_THAT(Log(), HasSubstr("step 3: silent layer: layer \"b\" has not counted a token in the first 3 steps"));
}

TEST_F(WorkerInvariantsTest, MoreTokensThanTheGlobalBatchAreTold) {
  options_.tokens_per_step = 2 * kTokens - 1;
  Join(2);
  Step();
  EXPECT_EQ(violations(), kLayers);
  EXPECT_THAT(Log(), HasSubstr("step 1: too many tokens: layer \"a\" counted 128 tokens, and a step has 127"));
}

TEST_F(WorkerInvariantsTest, AJobThatHaltsStaysHaltedThroughARestartUntilItIsResumed) {
  options_.on_violation = OnViolation::kHalt;
  options_.loss.on_loss = OnLoss::kWait;
  Join(2);
  StepsTo(3);
  const std::vector<float> before(workers_[0]->bias(0), workers_[0]->bias(0) + kExperts);
  twin_ = 1;
  twin_of_ = 0;
  Step();
  EXPECT_TRUE(halted());
  twin_ = -1;
  Step();
  EXPECT_TRUE(halted()) << "the cause is gone, and the job waits for a person";
  EXPECT_EQ(violations(), 0);
  coordinator_->Signal(SIGKILL);
  EXPECT_EQ(coordinator_->Wait().signal, SIGKILL);
  StartCoordinator();
  Step();
  EXPECT_TRUE(halted());
  EXPECT_EQ(std::vector<float>(workers_[1]->bias(0), workers_[1]->bias(0) + kExperts), before);
  ExpectOnPage("evenkeel_job_halted{job=\"run\"} 1\n");
  EXPECT_EQ(Describe().halt().step(), 4u);

  const Ending set = ChildProcess({BuiltProgram("tools/evenkeel"), "set", "--job", "run", "--coordinator",
                                   coordinator_->address(), "--resume"})
                         .Wait();
  EXPECT_EQ(set.exit_code, 0) << set.stderr_text;
  Step();
  EXPECT_FALSE(halted());
  EXPECT_NE(std::vector<float>(workers_[1]->bias(0), workers_[1]->bias(0) + kExperts), before);
  ExpectOnPage("evenkeel_job_halted{job=\"run\"} 0\n");
}

TEST_F(WorkerInvariantsTest, ARankThatNobodyStandsForIsNamedByTheLastThatJoins) {
  options_.group.name = "half";
  options_.group.count = 2;
  options_.world_size = 3;
  options_.group.store = "file://" + NewFolder("store");
  for (const int rank : {0, 1}) {
    WorkerOptions options = options_;
    options.rank = rank;
    options.group.ranks = {rank};
    options.group.index = rank;
    auto joined = Worker::Join(options);
    EXPECT_EQ(joined.ok(), rank == 0) << joined.status().message();
    if (joined.ok()) {
      workers_.push_back(std::move(*joined));
    } else {
      EXPECT_THAT(joined.status().message(), HasSubstr("none stands for rank 2 of 3"));
    }
  }
}

}  // namespace
}  // namespace evenkeel::tests
