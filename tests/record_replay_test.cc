// A real evenkeeld that records, and what `evenkeel replay --record` says of it.

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/recorder/folder.h"
#include "server/recorder/frame.h"
#include "tests/child_process.h"
#include "tests/evenkeeld_process.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kSteps = 30;

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// One contributor, two layers of four experts.
v1::JobSpec EvenJob() {
  v1::JobSpec job = SmallJob("even", 1);
  job.mutable_layers(1)->set_num_experts(4);
  return job;
}

class RecordReplayTest : public ::testing::Test {
 protected:
  RecordReplayTest() {
    options_.state_dir = NewFolder("state");
    options_.flags = {absl::StrCat("--record=", record_)};
    Start();
  }

  void Start() {
    auto process = EvenkeeldProcess::Start(options_);
    ASSERT_TRUE(process.ok()) << process.status();
    coordinator_ = *std::move(process);
    stub_ = coordinator_->NewStub();
  }

  void Restart() {
    Stop();
    Start();
  }

  void Stop() {
    coordinator_->Signal(SIGTERM);
    EXPECT_EQ(coordinator_->Wait().exit_code, 0);
  }

  void JoinAt(const v1::JobSpec& job, uint64_t step) {
    const auto joined = Join(stub_.get(), JoinOf(job, 0, /*incarnation=*/100, step));
    ASSERT_TRUE(joined.ok()) << joined.status();
    joined_[job.name()] = *joined;
  }

  // Steps `first` to `last`; the tokens of those that are `stale` are all routed with what was there before the first.
  void PushSteps(const v1::JobSpec& job, uint64_t first, uint64_t last, bool stale = false) {
    for (uint64_t step = first; step <= last; ++step) {
      v1::JoinResponse& joined = joined_[job.name()];
      v1::PushRequest push = PushOf(job, 0, 100, step, joined);
      push.set_ok(step % 9 != 0);
      const auto reply = Push(stub_.get(), push);
      ASSERT_TRUE(reply.ok()) << reply.status();
      replies_[{job.name(), step}] = *reply;
      if (!stale || step == last) *joined.mutable_version() = *reply;
    }
  }

  Ending Replay(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {BuiltProgram("tools/evenkeel"), "replay"});
    return ChildProcess(flags).Wait();
  }

  // The page that `evenkeel report` makes.
  std::string Report(std::vector<std::string> flags) const {
    const std::string page = NewFolder("page") + "/report.html";
    flags.insert(flags.begin(), {BuiltProgram("tools/evenkeel"), "report", "--out", page});
    const Ending ending = ChildProcess(flags).Wait();
    EXPECT_EQ(ending.exit_code, 0) << ending.stderr_text;
    return ReadBytes(page);
  }

  // An eventful run of one job and a plain one of another.
  void RunJobs() {
    const v1::JobSpec even = EvenJob();
    const v1::JobSpec other = SmallJob("team/other", 1);
    JoinAt(even, 1);
    JoinAt(other, 1);
    PushSteps(even, 1, 8);
    PushSteps(other, 1, 4);
    v1::UpdateConfigRequest change;
    change.set_job("even");
    change.set_from_step(12);
    change.mutable_balance()->set_rule(v1::BalanceConfig::SIGN);
    v1::UpdateConfigResponse changed;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    ASSERT_TRUE(stub_->UpdateConfig(&context, change, &changed).ok());
    PushSteps(even, 9, 15, /*stale=*/true);
    Restart();
    JoinAt(even, 16);
    PushSteps(even, 16, kSteps);
    Stop();
  }

  const std::string record_ = NewFolder("record");
  EvenkeeldProcess::Options options_;
  std::unique_ptr<EvenkeeldProcess> coordinator_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  std::map<std::string, v1::JoinResponse> joined_;
  std::map<std::pair<std::string, uint64_t>, v1::CommittedVersion> replies_;
};

TEST_F(RecordReplayTest, TheRecordIsTheRunBitForBit) {
  ASSERT_NO_FATAL_FAILURE(RunJobs());
  const Ending all = Replay({"--record", record_});
  EXPECT_EQ(all.exit_code, 0) << all.stderr_text;
  EXPECT_EQ(all.stdout_text,
            "job even: 30 steps replayed, 1 to 30, all equal\n"
            "  the config was changed, or a halt ended, after step 8\n"
            "  the coordinator was started again after step 15\n"
            "job team/other: 4 steps replayed, 1 to 4, all equal\n");
  const Ending json = Replay({"--record", record_, "--job", "team/other", "--json"});
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_EQ(json.stdout_text,
            "{\"jobs\": [{\"job\": \"team/other\", \"steps\": 4, \"first\": 1, \"last\": 4, \"equal\": true, "
            "\"difference\": null, \"notes\": [], \"damage\": [], \"torn\": []}]}\n");
}

TEST_F(RecordReplayTest, AReportTellsTheRun) {
  ASSERT_NO_FATAL_FAILURE(RunJobs());
  const std::string page = Report({"--record", record_, "--job", "even"});
  EXPECT_THAT(
      page,
      AllOf(HasSubstr("<h1>even</h1>"), HasSubstr("<dt>steps</dt><dd>30</dd>"),
            HasSubstr("At the start: steps 1 to 8 together"), HasSubstr("At the end: steps 23 to 30 together"),
            HasSubstr("<li>the coordinator was started again after step 15</li>"),
            HasSubstr("<li>step 27 was skipped by the trainer</li>"), HasSubstr("rule: PROPORTIONAL -&gt; SIGN")));
  EXPECT_THAT(page, HasSubstr(absl::StrCat(absl::Hex(replies_[{"even", kSteps}].state_hash(), absl::kZeroPad16))));

  const Ending unnamed =
      ChildProcess({BuiltProgram("tools/evenkeel"), "report", "--out", "x.html", "--record", record_}).Wait();
  EXPECT_EQ(unnamed.exit_code, 1);
  EXPECT_THAT(unnamed.stderr_text, HasSubstr("2 jobs are recorded here; name one by --job"));
  const Ending nobody = ChildProcess({BuiltProgram("tools/evenkeel"), "report", "--out", "x.html", "--record", record_,
                                      "--job", "nobody"})
                            .Wait();
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_THAT(nobody.stderr_text, StartsWith("evenkeel report: "));
}

TEST_F(RecordReplayTest, AReportOfARunningJobIsOfWhatItsCoordinatorRemembers) {
  const v1::JobSpec even = EvenJob();
  JoinAt(even, 1);
  PushSteps(even, 1, 12);
  const std::string page = Report({"--coordinator", coordinator_->address(), "--job", "even"});
  EXPECT_THAT(page, AllOf(HasSubstr("<dt>steps</dt><dd>12</dd>"), HasSubstr("Max violation over the steps"),
                          HasSubstr("Bias of the most uneven layers"), HasSubstr("At the end: step 12<"),
                          HasSubstr("The loads of the start are in the record alone.")));
  Stop();
  const std::string recorded = Report({"--record", record_, "--job", "even"});
  // The same curve, by whomever it was remembered.
  const auto curve = [](const std::string& text) {
    const size_t begin = text.find("<path class=\"worst\"");
    return text.substr(begin, text.find("/>", begin) - begin);
  };
  EXPECT_EQ(curve(page), curve(recorded));
}

TEST_F(RecordReplayTest, TheBiasesAreThoseThatTheWorkersGot) {
  ASSERT_NO_FATAL_FAILURE(RunJobs());
  const std::string out = NewFolder("out") + "/b.npy";
  const Ending ending =
      Replay({"--record", record_, "--job", "even", "--from-step", "11", "--to-step", "20", "--out", out});
  EXPECT_EQ(ending.exit_code, 0) << ending.stderr_text;
  EXPECT_THAT(ending.stdout_text, StartsWith("job even: 10 steps replayed, 11 to 20, all equal\n"));
  const std::string bytes = ReadBytes(out);
  EXPECT_THAT(bytes, HasSubstr("(10, 2, 4)"));
  constexpr size_t kRow = 2 * 4 * sizeof(float);
  ASSERT_GT(bytes.size(), 10 * kRow);
  for (uint64_t step = 11; step <= 20; ++step) {
    const v1::CommittedVersion& reply = replies_[{"even", step}];
    ASSERT_EQ(reply.bias_size(), 8);
    const char* row = bytes.data() + bytes.size() - (21 - step) * kRow;
    EXPECT_EQ(std::memcmp(row, reply.bias().data(), kRow), 0) << "step " << step;
  }
}

TEST_F(RecordReplayTest, AnAlteredCountIsNamed) {
  ASSERT_NO_FATAL_FAILURE(RunJobs());
  const std::string path = recorder::FilePath(record_ + "/even", 2);
  const std::string bytes = ReadBytes(path);
  recorder::FrameReader reader = recorder::FrameReader::Open(bytes).value();
  std::string altered = recorder::FileHeader();
  while (true) {
    std::optional<v1::RecordedEvent> event = reader.Next().value();
    if (!event.has_value()) break;
    v1::RecordedCommit* commit = event->mutable_commit();
    if (commit->version().step() == 17) {
      // The second expert of layer "b" gets most.
      commit->set_counts(5, commit->counts(5) + 1000);
    }
    if (commit->version().step() == 0) event->clear_commit();
    altered += recorder::Frame(*event);
  }
  std::ofstream(path, std::ios::binary | std::ios::trunc) << altered;
  const Ending ending = Replay({"--record", record_, "--job", "even"});
  EXPECT_EQ(ending.exit_code, 1);
  EXPECT_THAT(ending.stdout_text, AllOf(StartsWith("job even: 17 steps replayed, 1 to 17; run and record differ\n"),
                                        HasSubstr("step 17 differs at layer b: the record has the bias ")));
  EXPECT_THAT(ending.stderr_text, HasSubstr("run and record differ"));
}

TEST_F(RecordReplayTest, WhatCannotBeReplayedSaysWhy) {
  ASSERT_NO_FATAL_FAILURE(RunJobs());
  const struct {
    std::vector<std::string> flags;
    int exit_code;
    std::string message;
  } kCases[] = {
      {{"--record", record_, "--job", "evne"}, 1, "evne: no file of a record is here"},
      {{"--record", record_ + "/no"}, 1, "No such file or directory"},
      {{"--record", record_, "--out", "b.npy"}, 1, "name one by --job"},
      {{"--record", record_, "--job", "team/other", "--out", "b.npy"}, 1, "the same number of experts"},
      {{"--record", record_, "--counts", "c.npy"}, 2, "--record has configs and counts of its own"},
      {{"--job", "even"}, 2, "give --record DIR, or all of --config, --counts and --out"},
      {{"--record", record_, "--from-step", "9", "--to-step", "8"}, 2, "--to-step: 8 is before --from-step 9"},
  };
  for (const auto& c : kCases) {
    const Ending ending = Replay(c.flags);
    EXPECT_EQ(ending.exit_code, c.exit_code) << c.message;
    EXPECT_THAT(ending.stderr_text, HasSubstr(c.message));
  }
}

TEST(RecordFlagsTest, WhatCannotBeIsRefused) {
  const std::string state = NewFolder("state");
  const std::string config = NewFolder("config") + "/c.yaml";
  for (const auto& [lines, message] : {
           std::pair("record_file_bytes: 65535", "record_file_bytes is 65535; at least 65536"),
           std::pair("record_job_bytes: 1000000", "record_job_bytes is 1000000; at least twice record_file_bytes"),
           std::pair("record_dir: ''", "record_dir is empty"),
           std::pair("record_dir: /proc/no/such", "/proc/no/such"),
       }) {
    std::ofstream(config) << lines << "\n";
    const Ending ending = RunEvenkeeld({"--state_dir=" + state, "--config=" + config, "--listen=127.0.0.1:0"});
    EXPECT_EQ(ending.exit_code, 1);
    EXPECT_THAT(ending.stderr_text, HasSubstr(message));
  }
}

}  // namespace
}  // namespace evenkeel::tests
