// The contract of design and protocol, held against a real evenkeeld over real gRPC, with real signals.

#include <signal.h>

#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tests/evenkeeld_process.h"
#include "tests/protocol_client.h"
#include "yaml-cpp/yaml.h"

namespace evenkeel::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr uint64_t kFirstIncarnation = 1001;

// A job of two contributors, driven by hand.
class CoordinatorProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.state_dir = NewFolder("state");
    Start();
  }

  void Start() {
    absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(options_);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    options_.listen = process_->address();
    stub_ = process_->NewStub();
  }

  void KillAndRestart() {
    process_->Signal(SIGKILL);
    EXPECT_EQ(process_->Wait().signal, SIGKILL);
    Start();
  }

  v1::JoinResponse MustJoin(int contributor, uint64_t next_step) {
    absl::StatusOr<v1::JoinResponse> joined =
        Join(stub_.get(), JoinOf(job_, contributor, kFirstIncarnation + contributor, next_step));
    EXPECT_TRUE(joined.ok()) << joined.status();
    return joined.ok() ? *joined : v1::JoinResponse();
  }

  v1::PushRequest PushRequestOf(int contributor, uint64_t step, const v1::JoinResponse& joined) const {
    return PushOf(job_, contributor, kFirstIncarnation + contributor, step, joined);
  }

  // Both contributors join and commit steps first..last; returns the last version.
  v1::CommittedVersion RunSteps(uint64_t first, uint64_t last) {
    v1::JoinResponse a = MustJoin(0, first);
    v1::JoinResponse b = MustJoin(1, first);
    v1::CommittedVersion version;
    for (uint64_t step = first; step <= last; ++step) {
      auto parked = PushLater(stub_.get(), PushRequestOf(0, step, a));
      const absl::StatusOr<v1::CommittedVersion> own = Push(stub_.get(), PushRequestOf(1, step, b));
      const absl::StatusOr<v1::CommittedVersion> other = parked.get();
      EXPECT_TRUE(own.ok()) << own.status();
      EXPECT_TRUE(other.ok()) << other.status();
      if (!own.ok() || !other.ok()) return version;
      EXPECT_EQ(own->SerializeAsString(), other->SerializeAsString());
      version = *own;
      *a.mutable_version() = version;
      *b.mutable_version() = version;
    }
    return version;
  }

  EvenkeeldProcess::Options options_;
  std::unique_ptr<EvenkeeldProcess> process_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  const v1::JobSpec job_ = SmallJob("run", 2);
};

TEST_F(CoordinatorProcessTest, EveryContributorGetsTheSameBytes) {
  const v1::CommittedVersion version = RunSteps(1, 3);
  EXPECT_EQ(version.version().step(), 3);
  EXPECT_EQ(version.version().epoch(), 1);
  EXPECT_EQ(version.valid_from(), 4);
  EXPECT_EQ(version.bias_size(), 12);
  EXPECT_THAT(version.participants(), ::testing::ElementsAre(0, 1));
}

TEST_F(CoordinatorProcessTest, SigkillInMidStepChangesNothingButTheEpoch) {
  const v1::CommittedVersion undisturbed = RunSteps(1, 5);

  options_.state_dir = NewFolder("state");
  options_.listen = "127.0.0.1:0";
  Start();
  RunSteps(1, 2);
  const v1::JoinResponse a = MustJoin(0, 3);
  auto lost = PushLater(stub_.get(), PushRequestOf(0, 3, a));
  ASSERT_TRUE(AwaitPushed(stub_.get(), "run", {0}).ok());
  KillAndRestart();
  EXPECT_EQ(lost.get().status().code(), absl::StatusCode::kUnavailable);

  const absl::StatusOr<v1::CommittedVersion> stale = Push(stub_.get(), PushRequestOf(0, 3, a));
  EXPECT_EQ(ReasonOf(stale.status()), v1::ErrorDetail::STALE_EPOCH) << stale.status();
  const v1::CommittedVersion again = RunSteps(3, 5);
  EXPECT_EQ(again.state_hash(), undisturbed.state_hash());
  EXPECT_EQ(again.version().epoch(), 2);
}

TEST_F(CoordinatorProcessTest, ALostReplyIsGivenAgainAfterARestart) {
  const v1::CommittedVersion version = RunSteps(1, 2);
  KillAndRestart();
  const v1::JoinResponse joined = MustJoin(0, 2);
  EXPECT_EQ(joined.epoch(), 2);
  EXPECT_EQ(joined.version().SerializeAsString(), version.SerializeAsString());
  const absl::StatusOr<v1::CommittedVersion> late = Push(stub_.get(), PushRequestOf(0, 2, joined));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->SerializeAsString(), version.SerializeAsString());
}

TEST_F(CoordinatorProcessTest, StaleStepsMoveTheBiasOnceThoughTheCoordinatorDiesAmongThem) {
  // Both contributors deliver steps 4 to 9, all routed with version 2; maybe the coordinator dies before step 7.
  const auto deliver = [&](bool dies) {
    RunSteps(1, 3);
    v1::CommittedVersion version;
    v1::JoinResponse joined = MustJoin(0, 4);
    for (uint64_t step = 4; step <= 9; ++step) {
      if (dies && step == 7) {
        KillAndRestart();
        joined = MustJoin(0, step);
        MustJoin(1, step);
      }
      std::vector<v1::PushRequest> pushes;
      for (const int contributor : {0, 1}) {
        v1::PushRequest& push = pushes.emplace_back(PushRequestOf(contributor, step, joined));
        push.mutable_routed_with()->set_epoch(1);
        push.mutable_routed_with()->set_step(2);
      }
      auto parked = PushLater(stub_.get(), pushes[0]);
      const absl::StatusOr<v1::CommittedVersion> answer = Push(stub_.get(), pushes[1]);
      EXPECT_TRUE(answer.ok()) << answer.status();
      EXPECT_TRUE(parked.get().ok());
      if (!answer.ok()) return version;
      version = *answer;
      EXPECT_EQ(version.staleness(), step - 3);
    }
    return version;
  };
  const v1::CommittedVersion undisturbed = deliver(/*dies=*/false);
  options_.state_dir = NewFolder("state");
  options_.listen = "127.0.0.1:0";
  Start();
  const v1::CommittedVersion version = deliver(/*dies=*/true);
  EXPECT_EQ(version.version().epoch(), 2);
  EXPECT_EQ(version.state_hash(), undisturbed.state_hash());
}

TEST_F(CoordinatorProcessTest, LostCountsAreSaidOnce) {
  const v1::JoinResponse a = MustJoin(0, 1);
  const v1::JoinResponse b = MustJoin(1, 1);
  v1::PushRequest lost = PushRequestOf(1, 1, b);
  lost.set_counts_lost(true);
  lost.clear_valid_tokens();
  lost.clear_short_slots();
  lost.clear_routed();
  auto parked = PushLater(stub_.get(), lost);
  const absl::StatusOr<v1::CommittedVersion> version = Push(stub_.get(), PushRequestOf(0, 1, a));
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_THAT(version->participants(), ::testing::ElementsAre(0));
  EXPECT_TRUE(parked.get().ok());
  process_->Signal(SIGTERM);
  EXPECT_THAT(process_->Wait().stderr_text,
              HasSubstr("job \"run\": step 1 is committed without the counts of contributor 1"));
}

TEST_F(CoordinatorProcessTest, WithLagAJobThatStartsAgainIsToldWhatRoutesItsFirstTwoSteps) {
  v1::JobSpec job = SmallJob("lagging", 1);
  job.set_lag(1);
  std::string newest, before;
  for (uint64_t life = 1; life <= 3; ++life) {
    const uint64_t open_step = 3 * life - 2;
    const absl::StatusOr<v1::JoinResponse> joined = Join(stub_.get(), JoinOf(job, 0, /*incarnation=*/life, open_step));
    ASSERT_TRUE(joined.ok()) << joined.status();
    EXPECT_EQ(joined->open_step(), open_step);
    EXPECT_EQ(joined->has_previous(), life > 1);
    EXPECT_EQ(joined->previous().SerializeAsString(), before);
    EXPECT_TRUE(life == 1 || joined->version().SerializeAsString() == newest);
    newest = joined->version().SerializeAsString();
    v1::Version due = life > 1 ? joined->previous().version() : joined->version().version();
    v1::Version next = joined->version().version();
    for (uint64_t step = open_step; step < open_step + 3; ++step) {
      v1::PushRequest push = PushOf(job, 0, /*incarnation=*/life, step, *joined);
      *push.mutable_routed_with() = due;
      const absl::StatusOr<v1::CommittedVersion> version = Push(stub_.get(), push);
      ASSERT_TRUE(version.ok()) << version.status();
      EXPECT_EQ(version->staleness(), 0);
      EXPECT_EQ(version->valid_from(), step + 2);
      due = next;
      next = version->version();
      before = std::exchange(newest, version->SerializeAsString());
    }
    KillAndRestart();
  }
}

TEST_F(CoordinatorProcessTest, ASecondStartOfTheJobIsRefusedBeforeItSpoilsAnything) {
  const v1::CommittedVersion version = RunSteps(1, 2);
  const absl::StatusOr<v1::JoinResponse> second = Join(stub_.get(), JoinOf(job_, 0, 77, 1));
  EXPECT_EQ(ReasonOf(second.status()), v1::ErrorDetail::STEP_BEHIND);
  EXPECT_EQ(DetailOf(second.status()).open_step(), 3);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("step 2 is committed"));
  EXPECT_EQ(MustJoin(1, 3).version().state_hash(), version.state_hash());
}

TEST_F(CoordinatorProcessTest, SigtermAnswersParkedPushesAndEndsWithZero) {
  MustJoin(1, 1);
  const v1::JoinResponse a = MustJoin(0, 1);
  auto parked = PushLater(stub_.get(), PushRequestOf(0, 1, a));
  ASSERT_TRUE(AwaitPushed(stub_.get(), "run", {0}).ok());
  process_->Signal(SIGTERM);
  const absl::Status status = parked.get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::SHUTTING_DOWN);
  EXPECT_EQ(process_->Wait().exit_code, 0);
}

TEST_F(CoordinatorProcessTest, SigtermAnswersRanksThatLookForEachOther) {
  v1::RendezvousRequest request;
  request.set_job("run");
  request.set_group("world");
  request.set_size(2);
  request.set_key("join");
  const auto call = [&] {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    v1::RendezvousResponse response;
    return ReasonOf(FromGrpcStatus(stub_->Rendezvous(&context, request, &response)));
  };
  // Of two calls of one rank the second to come replaces the first: then it is known to wait.
  std::promise<void> replaced;
  const auto either = [&] {
    const v1::ErrorDetail::Reason reason = call();
    if (reason == v1::ErrorDetail::REPLACED) replaced.set_value();
    return reason;
  };
  auto one = std::async(std::launch::async, either);
  auto other = std::async(std::launch::async, either);
  replaced.get_future().wait();
  process_->Signal(SIGTERM);
  EXPECT_THAT((std::vector<v1::ErrorDetail::Reason>{one.get(), other.get()}),
              UnorderedElementsAre(v1::ErrorDetail::REPLACED, v1::ErrorDetail::SHUTTING_DOWN));
  EXPECT_EQ(process_->Wait().exit_code, 0);
}

TEST_F(CoordinatorProcessTest, AGoneCallerIsForgottenButItsCountsStay) {
  MustJoin(1, 1);
  const v1::JoinResponse a = MustJoin(0, 1);
  const v1::PushRequest push = PushRequestOf(0, 1, a);
  auto first = std::async(std::launch::async, [&] { return Push(stub_.get(), push, absl::Milliseconds(300)); });
  EXPECT_EQ(first.get().status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(AwaitPushed(stub_.get(), "run", {0}).ok());
  const absl::StatusOr<v1::CommittedVersion> other = Push(stub_.get(), PushRequestOf(1, 1, a));
  ASSERT_TRUE(other.ok()) << other.status();
  const absl::StatusOr<v1::CommittedVersion> repeated = Push(stub_.get(), push);
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->SerializeAsString(), other->SerializeAsString());
}

TEST_F(CoordinatorProcessTest, ASecondCoordinatorOnTheSameStateOrPortDoesNotStart) {
  const Ending same_state =
      RunEvenkeeld({"--state_dir=" + options_.state_dir, "--listen=127.0.0.1:0", "--metrics_listen=none"});
  EXPECT_EQ(same_state.exit_code, 1);
  EXPECT_THAT(same_state.stderr_text, HasSubstr(options_.state_dir));

  const Ending same_port =
      RunEvenkeeld({"--state_dir=" + NewFolder("other"), "--listen=" + process_->address(), "--metrics_listen=none"});
  EXPECT_EQ(same_port.exit_code, 1);
  EXPECT_THAT(same_port.stderr_text, HasSubstr(process_->address()));
}

// Answers that were sent are on disk; the step that could not be written was answered by nobody.
TEST_F(CoordinatorProcessTest, AFullDiskEndsTheProcessAndLosesNothingThatWasAnswered) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer maps files of its own, and dies of a limit on their size";
#endif
  process_->Signal(SIGKILL);
  process_->Wait();
  options_.state_dir = NewFolder("state");
  options_.listen = "127.0.0.1:0";
  options_.max_file_bytes = 320 * 1024;  // a few steps more than the tables take
  Start();
  v1::JoinResponse a = MustJoin(0, 1);
  v1::JoinResponse b = MustJoin(1, 1);
  v1::CommittedVersion answered = a.version();
  for (uint64_t step = 1;; ++step) {
    ASSERT_LT(step, 100'000u) << "the disk never filled up";
    auto parked = PushLater(stub_.get(), PushRequestOf(0, step, a));
    const absl::StatusOr<v1::CommittedVersion> own = Push(stub_.get(), PushRequestOf(1, step, b), absl::Seconds(5));
    const absl::StatusOr<v1::CommittedVersion> other = parked.get();
    EXPECT_EQ(own.ok(), other.ok());
    if (!own.ok()) break;
    answered = *own;
    *a.mutable_version() = answered;
    *b.mutable_version() = answered;
    // Fill the limited file faster than small steps would: joins are written too.
    MustJoin(0, step + 1);
  }
  const Ending ending = process_->Wait();
  EXPECT_EQ(ending.exit_code, 1) << ending.stderr_text;
  EXPECT_THAT(ending.stderr_text, HasSubstr("nothing was answered that is not on disk"));

  options_.max_file_bytes = 0;
  Start();
  const v1::JoinResponse joined = MustJoin(0, answered.version().step() + 1);
  EXPECT_EQ(joined.version().SerializeAsString(), answered.SerializeAsString());
}

// Every line of the log, read; strictly JSON, and all JSON is YAML.
std::vector<YAML::Node> ReadJsonLines(const std::string& log) {
  std::vector<YAML::Node> lines;
  for (const absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    google::protobuf::Value value;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(std::string(line), &value).ok()) << line;
    lines.push_back(YAML::Load(std::string(line)));
  }
  return lines;
}

TEST_F(CoordinatorProcessTest, TheLogIsReadByMachinesWhereThatIsAskedFor) {
  options_.flags = {"--log_format=json"};
  KillAndRestart();
  MustJoin(0, 1);
  MustJoin(1, 1);
  process_->Signal(SIGTERM);
  std::vector<std::string> events;
  for (const YAML::Node& line : ReadJsonLines(process_->Wait().stderr_text)) {
    events.push_back(line["event"].as<std::string>());
    EXPECT_THAT(line["time"].as<std::string>(), HasSubstr("T"));
    EXPECT_EQ(line["level"].as<std::string>(), "info");
    EXPECT_EQ(line["job"].IsDefined(), events.back() == "job_made" || events.back() == "all_joined");
  }
  EXPECT_THAT(events, ElementsAre("serving", "job_made", "all_joined", "stopping"));
}

TEST_F(CoordinatorProcessTest, TheLogLeavesOutWhatIsBelowItsLevel) {
  options_.flags = {"--log_level=warning"};
  KillAndRestart();
  MustJoin(0, 1);
  MustJoin(1, 1);
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait().stderr_text, "");
}

TEST_F(CoordinatorProcessTest, RefusedCommandLinesSayWhatIsWrong) {
  const struct {
    std::vector<std::string> flags;
    const char* message;
  } cases[] = {
      {{}, "state_dir is not set"},
      {{"--state_dir=" + NewFolder("s"), "--listen=nonsense"}, "\"nonsense\" is not host:port"},
      {{"--state_dir=" + NewFolder("s"), "--listen=0.0.0.0:0"}, "not encrypted"},
      {{"--state_dir=" + NewFolder("s"), "--listen=127.0.0.1:99999"}, "127.0.0.1:99999"},
      {{"--state_dir=/proc/nowhere"}, "/proc/nowhere"},
      {{"--state_dir=" + NewFolder("s"), "--log_format=xml"}, "log_format is \"xml\""},
      {{"--state_dir=" + NewFolder("s"), "--log_level=debug"}, "log_level is \"debug\""},
      {{"--config=/nowhere.yaml"}, "/nowhere.yaml"},
  };
  for (const auto& c : cases) {
    const Ending ending = RunEvenkeeld(c.flags);
    EXPECT_EQ(ending.exit_code, 1);
    EXPECT_THAT(ending.stderr_text, HasSubstr(c.message));
  }
  EXPECT_EQ(RunEvenkeeld({"stray"}).exit_code, 2);
}

TEST_F(CoordinatorProcessTest, RefusedConfigFilesNameKeyAndLine) {
  const struct {
    const char* text;
    std::vector<const char*> words;
  } cases[] = {
      {"state_dir: x\nstate_dri: y\n", {"state_dri", "2"}},
      {"default_balance:\n  rate: .nan\n", {"rate", "nan"}},
      {"default_balance:\n  preset: no_such\nstate_dir: x\n", {"no_such"}},
      {"default_balance:\n  momentum: 1.5\nstate_dir: x\n", {"momentum", "1.5"}},
      {"limits:\n  max_jobs: 0\nstate_dir: x\n", {"max_jobs", "0"}},
      {"limits: {max_jobs: 5", {"1"}},
  };
  for (const auto& c : cases) {
    const std::string path = NewFolder("config") + "/evenkeeld.yaml";
    FILE* file = fopen(path.c_str(), "w");
    fputs(c.text, file);
    fclose(file);
    const Ending ending = RunEvenkeeld({"--config=" + path});
    EXPECT_EQ(ending.exit_code, 1) << c.text;
    for (const char* word : c.words) EXPECT_THAT(ending.stderr_text, HasSubstr(word)) << c.text;
  }
}

}  // namespace
}  // namespace evenkeel::tests
