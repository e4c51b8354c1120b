// Real workers that die, stop or leave, under each policy: what becomes of the others, and of the trajectory.

#include <signal.h>

#include <chrono>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "tests/counting_bench.h"
#include "tests/http_get.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Whoever is silent for a second is lost; nothing else happens to anybody within the test.
constexpr char kLostAfterASecond[] = R"({"heartbeat_timeout_ms": 1000, "step_deadline_ms": 0})";

class WorkerMissingTest : public CountingBench {
 protected:
  v1::JobState StateAfter(uint64_t step) const {
    v1::GetStateRequest request;
    request.set_job(job_);
    request.set_step(step);
    v1::GetStateResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const grpc::Status status = NewStub()->GetState(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    v1::JobState state;
    EXPECT_TRUE(state.ParseFromString(response.snapshot().state()));
    return state;
  }

  // Learns from the coordinator who was missing, of the steps up to the last. It remembers 64.
  void LearnWhoWasMissing() {
    for (uint64_t step = 1; step <= steps_; ++step) {
      const v1::JobState state = StateAfter(step);
      const auto& participants = state.last_commit().participants();
      const std::set<int> present(participants.begin(), participants.end());
      for (int contributor = 0; contributor < ranks(); ++contributor) {
        if (present.count(contributor) == 0) missing_.insert({step, contributor});
      }
    }
  }

  bool EventuallyIs(int contributor, v1::ContributorState::Kind state) const {
    return Eventually([&] { return Describe().contributors(contributor).state() == state; });
  }
};

TEST_F(WorkerMissingTest, AJobGoesOnWithoutAWorkerThatIsKilled) {
  StartJob(Alone(3), /*steps=*/50, {{"on_missing", "commit_without"}, {"membership", kLostAfterASecond}});
  GoTo(10);
  ASSERT_TRUE(AwaitLines(10));
  Kill(2);
  GoToTheEnd();
  AwaitCommitted(steps_);
  LearnWhoWasMissing();
  EXPECT_GE(missing_.size(), 39u) << "steps 12 to 50 at least";
  for (const auto& [step, contributor] : missing_) EXPECT_EQ(contributor, 2) << "step " << step;
  ExpectReferenceAtTheEnd(/*gone=*/{2});
  EXPECT_THAT(coordinator_->Log(), HasSubstr("is committed without contributor 2"));
  const absl::StatusOr<std::string> page = HttpGet(coordinator_->metrics_address(), "/metrics");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, HasSubstr("evenkeel_contributors{job=\"" + job_ + "\",state=\"lost\"} 1\n"));
  EXPECT_THAT(*page, HasSubstr("evenkeel_missing_contributions_total{job=\"" + job_ + "\"} " +
                               std::to_string(missing_.size()) + "\n"));
}

// Its heartbeats stop with it, and it takes part again when it goes on.
TEST_F(WorkerMissingTest, AWorkerThatWasStoppedTakesPartAgain) {
  StartJob(Alone(3), /*steps=*/60, {{"on_missing", "commit_without"}, {"membership", kLostAfterASecond}});
  GoTo(10);
  ASSERT_TRUE(AwaitLines(10));
  AwaitCommitted(9);
  worker(1).Signal(SIGSTOP);
  GoTo(20);
  for (const int rank : {0, 2}) ASSERT_TRUE(AwaitLine(rank, 20));
  AwaitCommitted(19);
  EXPECT_EQ(Describe().contributors(1).state(), v1::ContributorState::LOST);
  worker(1).Signal(SIGCONT);
  ASSERT_TRUE(EventuallyIs(1, v1::ContributorState::AWAITED) || EventuallyIs(1, v1::ContributorState::PUSHED));
  GoTo(40);
  ASSERT_TRUE(AwaitLines(40));
  GoToTheEnd();
  AwaitCommitted(steps_);
  LearnWhoWasMissing();
  EXPECT_GE(missing_.size(), 8u);
  for (const auto& [step, contributor] : missing_) EXPECT_EQ(contributor, 1) << "step " << step;
  EXPECT_THAT(StateAfter(60).last_commit().participants(), ElementsAre(0, 1, 2));
  ExpectReferenceAtTheEnd();
}

TEST_F(WorkerMissingTest, AFailedJobIsAnErrorOnEveryWorker) {
  StartJob(Alone(3), /*steps=*/1000, {{"on_missing", "fail"}, {"membership", kLostAfterASecond}});
  GoTo(10);
  ASSERT_TRUE(AwaitLines(10));
  Kill(1);
  GoToTheEnd();
  for (const int rank : {0, 2}) {
    const Ending ending = worker(rank).WaitAtMost(absl::Seconds(60));
    EXPECT_EQ(ending.exit_code, 1) << "rank " << rank;
    EXPECT_THAT(ending.stderr_text, HasSubstr("has failed without contributor 1 (lost)")) << "rank " << rank;
  }
  EXPECT_THAT(Describe().summary().failure(), HasSubstr("start the training again"));
}

// An idle process is alive; that it gets on is another matter.
TEST_F(WorkerMissingTest, AWorkerThatIsAliveAndDoesNotGetOnIsLateAndNotLost) {
  StartJob(Alone(2), /*steps=*/20,
           {{"on_missing", "commit_without"},
            {"membership", R"({"heartbeat_timeout_ms": 1000, "step_deadline_ms": 3000})"}});
  GoTo(5);
  ASSERT_TRUE(AwaitLines(5));
  AwaitCommitted(4);
  worker(0).Tell("20");
  ASSERT_TRUE(AwaitLine(0, 20));
  AwaitCommitted(19);
  EXPECT_EQ(Describe().contributors(1).state(), v1::ContributorState::LATE);
  GoToTheEnd();
  AwaitCommitted(steps_);
  LearnWhoWasMissing();
  EXPECT_THAT(missing_, ::testing::Contains(std::pair<uint64_t, int>(12, 1)));
  ExpectReferenceAtTheEnd();
}

class JobExpiryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    static int folders = 0;
    const std::string folder = ::testing::TempDir() + "/expiry" + std::to_string(++folders);
    std::ofstream(folder + ".yaml") << "job_expiry_ms: 1000\n";
    options_.state_dir = folder;
    options_.flags = {"--config=" + folder + ".yaml"};
    Start();
  }

  void Start() {
    coordinator_ = EvenkeeldProcess::Start(options_).value();
    stub_ = coordinator_->NewStub();
  }

  std::vector<std::string> Jobs() {
    v1::ListJobsResponse list;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    EXPECT_TRUE(stub_->ListJobs(&context, {}, &list).ok());
    std::vector<std::string> names;
    for (const v1::JobSummary& job : list.jobs()) names.push_back(job.name());
    return names;
  }

  bool EventuallyThereIsNone() {
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (absl::Now() < end) {
      if (Jobs().empty()) return true;
    }
    return false;
  }

  EvenkeeldProcess::Options options_;
  std::unique_ptr<EvenkeeldProcess> coordinator_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
};

TEST_F(JobExpiryTest, AJobThatNobodyUsesExpiresAndGoesOnWhenItIsCalled) {
  const v1::JobSpec job = SmallJob("run", 1);
  v1::JoinResponse joined = Join(stub_.get(), JoinOf(job, 0, 7, 1)).value();
  absl::StatusOr<v1::CommittedVersion> last;
  for (uint64_t step = 1; step <= 5; ++step) {
    last = Push(stub_.get(), PushOf(job, 0, 7, step, joined));
    ASSERT_TRUE(last.ok()) << last.status();
    *joined.mutable_version() = *last;
  }
  ASSERT_TRUE(EventuallyThereIsNone());
  EXPECT_THAT(coordinator_->Log(), HasSubstr("expires; its state after step 5 is kept"));
  EXPECT_THAT(*HttpGet(coordinator_->metrics_address(), "/metrics"),
              ::testing::Not(HasSubstr("evenkeel_job_step{job=\"run\"}")));

  coordinator_->Signal(SIGKILL);
  coordinator_->Wait();
  Start();
  EXPECT_THAT(Jobs(), IsEmpty()) << "what has expired is not loaded";
  joined = Join(stub_.get(), JoinOf(job, 0, 8, 6)).value();
  EXPECT_EQ(joined.open_step(), 6u);
  EXPECT_GT(joined.epoch(), 1u);
  EXPECT_EQ(joined.version().state_hash(), last->state_hash());
  EXPECT_THAT(Jobs(), ElementsAre("run"));
  EXPECT_TRUE(Push(stub_.get(), PushOf(job, 0, 8, 6, joined)).ok());
}

}  // namespace
}  // namespace evenkeel::tests
