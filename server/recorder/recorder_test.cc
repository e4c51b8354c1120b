// A job whose writes are recorded, and what its record says when it is replayed.

#include "server/recorder/recorder.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"
#include "server/core/job_bench.h"
#include "server/recorder/folder.h"
#include "server/recorder/folder_replay.h"
#include "server/recorder/frame.h"

namespace evenkeel::recorder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Kind = Replayer::Note::Kind;

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// "gap 3-4", "started 5": what a replay has noted.
std::vector<std::string> Notes(const FolderReplay& replay) {
  std::vector<std::string> notes;
  for (const Replayer::Note& note : replay.notes) {
    switch (note.kind) {
      case Kind::kGap:
        notes.push_back(absl::StrCat("gap ", note.step, "-", note.last));
        break;
      case Kind::kStarted:
        notes.push_back(absl::StrCat("started ", note.step));
        break;
      case Kind::kBack:
        notes.push_back(absl::StrCat("back ", note.step));
        break;
      case Kind::kConfig:
        notes.push_back(absl::StrCat("config ", note.step));
        break;
    }
  }
  return notes;
}

class RecorderTest : public ::testing::Test {
 protected:
  RecorderTest() {
    options_.directory = absl::StrCat(testing::TempDir(), "/recordXXXXXX");
    EXPECT_NE(mkdtemp(&options_.directory[0]), nullptr);
    options_.retry_after = absl::ZeroDuration();
    options_.queue_size = 1000;
  }

  void Start() {
    recorder_ = Recorder::Start(options_, {[this](const LogEvent& event) { lines_.push_back(event.message); },
                                           [this](const std::string& job) { gaps_.push_back(job); }})
                    .value();
  }

  // Records `bench` from here on, as from the start of a coordinator.
  void Record(core::JobBench* bench) {
    recorder_->Restore({&bench->disk(), 1});
    bench->OnDurable([this](const std::vector<core::Write>& writes) { recorder_->Take(writes); });
  }

  // The coordinator is killed and started again.
  void Restart(core::JobBench* bench) {
    recorder_.reset();
    bench->OnDurable(nullptr);
    bench->Restart();
    Start();
    Record(bench);
    bench->JoinAll();
  }

  std::string Folder(const std::string& job = "job") const { return options_.directory + "/" + FolderName(job); }
  std::vector<RecordFile> Files(const std::string& job = "job") const { return ListFiles(Folder(job)).value(); }

  FolderReplay Replay(const ReplayRange& range = {}, const std::string& job = "job") {
    if (recorder_ != nullptr) recorder_->Flush();
    const absl::StatusOr<FolderReplay> replay = ReplayFolder(Folder(job), range, {});
    EXPECT_TRUE(replay.ok()) << replay.status();
    return replay.value_or(FolderReplay());
  }

  void ExpectWhole(const FolderReplay& replay, uint64_t first, uint64_t last) {
    EXPECT_EQ(replay.first, first);
    EXPECT_EQ(replay.last, last);
    EXPECT_EQ(replay.steps, last - first + 1);
    EXPECT_FALSE(replay.difference.has_value()) << "step " << replay.difference->step;
    EXPECT_THAT(replay.damage, IsEmpty());
    EXPECT_THAT(replay.torn, IsEmpty());
  }

  Recorder::Options options_;
  std::vector<std::string> lines_;
  std::vector<std::string> gaps_;
  std::unique_ptr<Recorder> recorder_;
};

v1::UpdateConfigRequest Rate(uint64_t from_step, double rate) {
  v1::UpdateConfigRequest request;
  request.set_from_step(from_step);
  request.mutable_balance()->set_rate(rate);
  return request;
}

// Contributor 0 is alone, and routes with version `step` of epoch 1.
void PushStale(core::JobBench* bench, uint64_t step) {
  v1::PushRequest push = bench->PushOf(0, bench->job().open_step());
  push.mutable_routed_with()->set_epoch(1);
  push.mutable_routed_with()->set_step(step);
  bench->Push(push);
}

TEST_F(RecorderTest, EveryStepIsReplayedToTheSameBits) {
  for (const int lag : {0, 1}) {
    v1::JobSpec spec = lag == 0 ? job::TestSpec(2) : job::TestSpecWithStreams(2);
    spec.set_name(absl::StrCat("lag", lag));
    spec.set_lag(lag);
    core::JobBench bench(spec, {}, /*one_skip_in=*/5);
    Start();
    Record(&bench);
    bench.JoinAll();
    bench.PushAllUntil(40);
    for (const int contributor : {0, 1}) {
      v1::PushRequest push = bench.PushOf(contributor, 41);
      push.set_ok(true);
      push.set_replayed(contributor == 0);
      bench.Push(push);
    }
    EXPECT_EQ(bench.job().State().layers(0).last_reason(), v1::UpdateReason::REPLAYED);
    bench.PushAllUntil(45);
    const FolderReplay replay = Replay({}, spec.name());
    ExpectWhole(replay, 1, 45);
    EXPECT_EQ(replay.job, spec.name());
    EXPECT_THAT(replay.notes, IsEmpty());
  }
}

TEST_F(RecorderTest, AnOutageAConfigChangeAndRestartsAreFollowed) {
  core::JobBench bench(job::TestSpec(1), {}, /*one_skip_in=*/7);
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(5);
  ASSERT_TRUE(bench.UpdateConfig(Rate(12, .25)).ok());
  v1::UpdateConfigRequest rule;
  rule.set_from_step(9);
  rule.mutable_balance()->set_rule(v1::BalanceConfig::SIGN);
  ASSERT_TRUE(bench.UpdateConfig(rule).ok());
  for (int i = 0; i < 5; ++i) PushStale(&bench, 4);
  Restart(&bench);
  for (int i = 0; i < 5; ++i) PushStale(&bench, 4);
  Restart(&bench);
  bench.PushAllUntil(28);
  v1::PushRequest elsewhere = bench.PushOf(0, 29);
  elsewhere.set_replayed(true);
  elsewhere.set_ok(true);
  bench.Push(elsewhere);
  EXPECT_EQ(bench.disk().state.layers(0).last_reason(), v1::UpdateReason::REPLAYED);
  bench.PushAllUntil(30);
  const FolderReplay replay = Replay();
  ExpectWhole(replay, 1, 30);
  EXPECT_THAT(Notes(replay), ElementsAre("config 5", "config 5", "started 10", "started 15"));
  EXPECT_THAT(Files(), SizeIs(3));
}

TEST_F(RecorderTest, EveryFileCanBeReplayedAlone) {
  core::JobBench bench(job::TestSpec(1), {}, /*one_skip_in=*/5);
  options_.bounds.file_bytes = 1;  // every commit fills one
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(5);
  for (int i = 0; i < 5; ++i) PushStale(&bench, 4);
  bench.PushAllUntil(12);
  ExpectWhole(Replay(), 1, 12);
  const std::vector<RecordFile> files = Files();
  ASSERT_THAT(files, SizeIs(12));
  for (int step = 12; step > 1; --step) {
    ASSERT_EQ(std::remove(files[12 - step].path.c_str()), 0);
    ExpectWhole(Replay(), 14 - step, 12);
  }
}

TEST_F(RecorderTest, ARangeIsReplayedFromTheLastFileBeforeIt) {
  core::JobBench bench(job::TestSpec(1));
  options_.bounds.file_bytes = 4000;
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(60);
  ExpectWhole(Replay({20, 29}), 20, 29);
  ExpectWhole(Replay({60, 99}), 60, 60);
  EXPECT_EQ(Replay({61, 99}).steps, 0u);
  WriteBytes(Files()[0].path, "no record");
  ExpectWhole(Replay({59, 60}), 59, 60);
}

TEST_F(RecorderTest, ARewindIsFollowedAndTold) {
  for (const int lag : {0, 1}) {
    v1::JobSpec spec = job::TestSpec(1);
    spec.set_name(absl::StrCat("lag", lag));
    spec.set_lag(lag);
    core::JobBench bench(spec);
    Start();
    Record(&bench);
    bench.JoinAll();
    bench.PushAllUntil(4);
    ASSERT_TRUE(bench.UpdateConfig(Rate(6, .25)).ok());
    bench.PushAllUntil(9);
    v1::JoinRequest join = bench.JoinOf(0);
    ASSERT_TRUE(bench.Leave(0, join.incarnation()).ok());  // who asks to go back does so before it joins
    join.set_rewind(true);
    join.set_next_step(4);
    const auto response = bench.Join(join);
    ASSERT_TRUE(response.ok()) << response.status();
    bench.PushAllUntil(7);
    const FolderReplay replay = Replay({}, spec.name());
    EXPECT_FALSE(replay.difference.has_value());
    EXPECT_THAT(replay.damage, IsEmpty());
    EXPECT_EQ(replay.steps, 13u);
    EXPECT_EQ(replay.last, 7u);
    EXPECT_THAT(Notes(replay), ElementsAre("config 4", "back 3"));
  }
}

TEST_F(RecorderTest, TwoJobsHaveFoldersOfTheirOwn) {
  v1::JobSpec spec = job::TestSpec(1);
  spec.set_name("team/b");
  core::JobBench a(job::TestSpec(1)), b(spec);
  Start();
  for (core::JobBench* bench : {&a, &b}) {
    Record(bench);
    bench->JoinAll();
  }
  for (uint64_t step = 1; step <= 6; ++step) {
    a.PushAllUntil(step);
    b.PushAllUntil(2 * step);
  }
  ExpectWhole(Replay(), 1, 6);
  ExpectWhole(Replay({}, "team/b"), 1, 12);
}

TEST_F(RecorderTest, FilesAreRotatedBoundedAndPrivate) {
  core::JobBench bench(job::TestSpec(1));
  options_.bounds = {5000, 20000};
  Start();
  Record(&bench);
  bench.JoinAll();
  for (uint64_t step = 1; step <= 400; ++step) {
    bench.PushAll();
    if (step % 20 != 0) continue;
    recorder_->Flush();
    uint64_t bytes = 0;
    for (const RecordFile& file : Files()) bytes += file.bytes;
    ASSERT_LE(bytes, 20000u + 500u) << "a file may exceed its bound by an event";
  }
  const FolderReplay replay = Replay();
  ASSERT_GT(replay.first, 1u) << "the oldest are gone";
  ExpectWhole(replay, replay.first, 400);
  struct stat status = {};
  ASSERT_EQ(stat(Files()[0].path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

// ---------------------------------------------------------------------------------------------------------------------
// What goes wrong

TEST_F(RecorderTest, AFullDiskMakesAGapThatIsToldOnce) {
  core::JobBench bench(job::TestSpec(1));
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(5);
  recorder_->Flush();
  // No file can grow any more.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit tight = {200, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  bench.PushAllUntil(12);
  recorder_->Flush();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_THAT(gaps_, ElementsAre("job"));
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_THAT(lines_[0], HasSubstr("the record cannot be written, and has a gap from step 6 on"));

  bench.PushAllUntil(20);
  const FolderReplay replay = Replay();
  EXPECT_FALSE(replay.difference.has_value());
  EXPECT_THAT(replay.damage, IsEmpty());
  EXPECT_THAT(replay.torn, IsEmpty()) << "what was half written is taken back";
  EXPECT_THAT(Notes(replay), ElementsAre("gap 6-12"));
  EXPECT_EQ(replay.last, 20u);
  EXPECT_EQ(replay.steps, 13u);
  ASSERT_THAT(lines_, SizeIs(2));
  EXPECT_THAT(lines_[1], HasSubstr("the record goes on at step 13"));
}

TEST_F(RecorderTest, ADiskThatIsTooSlowMakesAGapAndNobodyWaits) {
  core::JobBench bench(job::TestSpec(1));
  options_.queue_size = 0;
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(5);
  EXPECT_THAT(gaps_, ElementsAre("job"));
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_THAT(lines_[0], HasSubstr("is too slow for the record, which has a gap from step 0 on"));
}

TEST_F(RecorderTest, WhatTheQueueCannotHoldIsAGapAndTheRecordGoesOn) {
  // The thread is held up while it tells that it cannot write.
  std::promise<void> stuck, released;
  options_.queue_size = 2;
  recorder_ = Recorder::Start(options_, {[&](const LogEvent& event) {
                                           const std::string& line = event.message;
                                           if (!absl::StrContains(line, "cannot be written")) return;
                                           stuck.set_value();
                                           released.get_future().wait();
                                         },
                                         [this](const std::string& job) { gaps_.push_back(job); }})
                  .value();
  core::JobBench bench(job::TestSpec(1));
  WriteBytes(Folder(), "not a folder");
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(1);
  stuck.get_future().wait();
  bench.PushAllUntil(6);  // of which two are held
  released.set_value();
  recorder_->Flush();
  EXPECT_THAT(gaps_, SizeIs(2));
  ASSERT_EQ(std::remove(Folder().c_str()), 0);
  bench.PushAllUntil(7);
  recorder_->Flush();
  bench.PushAllUntil(8);
  recorder_->Flush();
  bench.PushAllUntil(9);
  const FolderReplay replay = Replay();
  ExpectWhole(replay, 8, 9);
  EXPECT_THAT(gaps_, SizeIs(2));
}

TEST_F(RecorderTest, StepsThatNobodyRecordedAreAGap) {
  core::JobBench bench(job::TestSpec(1));
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(5);
  recorder_.reset();
  bench.OnDurable(nullptr);
  bench.PushAllUntil(9);
  Start();
  Record(&bench);
  bench.PushAllUntil(12);
  EXPECT_THAT(Notes(Replay()), ElementsAre("gap 6-9", "started 9"));
}

TEST_F(RecorderTest, AFolderThatCannotBeUsedIsRefused) {
  options_.directory += "/no/such";
  const auto recorder = Recorder::Start(options_, {});
  EXPECT_EQ(recorder.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(recorder.status().message()), HasSubstr("/no/such"));
}

TEST_F(RecorderTest, ATornEventIsToldAndIsNoError) {
  core::JobBench bench(job::TestSpec(1));
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(6);
  recorder_.reset();
  const std::string path = Files()[0].path;
  const std::string bytes = ReadBytes(path);
  WriteBytes(path, bytes.substr(0, bytes.size() - 10));
  FolderReplay replay = Replay();
  EXPECT_EQ(replay.last, 5u);
  EXPECT_THAT(replay.torn, ElementsAre(HasSubstr("bytes are no whole event")));
  EXPECT_THAT(replay.damage, IsEmpty());
  Restart(&bench);
  bench.PushAllUntil(8);
  replay = Replay();
  EXPECT_EQ(replay.last, 8u);
  EXPECT_THAT(Notes(replay), ElementsAre("gap 6-6", "started 6"));
}

TEST_F(RecorderTest, EveryFlippedByteIsTold) {
  core::JobBench bench(job::TestSpec(1));
  options_.bounds.file_bytes = 1;
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(8);
  recorder_.reset();
  const std::vector<RecordFile> files = Files();
  ASSERT_GE(files.size(), 2u);
  const std::string bytes = ReadBytes(files[0].path);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x20);
    WriteBytes(files[0].path, flipped);
    const FolderReplay replay = Replay();
    ASSERT_FALSE(replay.damage.empty() && replay.torn.empty()) << "byte " << i;
    ASSERT_FALSE(replay.difference.has_value()) << "byte " << i;
    ASSERT_EQ(replay.last, 8u) << "the next file goes on, byte " << i;
  }
}

// The events of the file, changed by hand, with checksums that are right.
void Alter(const std::string& path, const std::function<void(v1::RecordedEvent*)>& alter) {
  const std::string bytes = ReadBytes(path);
  FrameReader reader = FrameReader::Open(bytes).value();
  std::string altered = FileHeader();
  while (true) {
    std::optional<v1::RecordedEvent> event = reader.Next().value();
    if (!event.has_value()) break;
    alter(&*event);
    altered += Frame(*event);
  }
  WriteBytes(path, altered);
}

TEST_F(RecorderTest, AnAlteredCountIsFoundAtItsStepAndLayer) {
  core::JobBench bench(job::TestSpec(1));
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(20);
  recorder_.reset();
  const std::string path = Files()[0].path;
  const std::string bytes = ReadBytes(path);
  // Layer "a" has 4 experts, "b" 3.
  for (const auto& [expert, layer] : {std::pair(1, "a"), std::pair(5, "b")}) {
    WriteBytes(path, bytes);
    Alter(path, [expert = expert](v1::RecordedEvent* event) {
      if (event->commit().version().step() != 13) return;
      event->mutable_commit()->set_counts(expert, event->commit().counts(expert) + 1);
    });
    const FolderReplay replay = Replay();
    ASSERT_TRUE(replay.difference.has_value());
    EXPECT_EQ(replay.difference->step, 13u);
    EXPECT_EQ(replay.difference->layer, layer);
    EXPECT_NE(replay.difference->recorded_hash, replay.difference->replayed_hash);
    EXPECT_EQ(replay.last, 13u);
  }
}

TEST_F(RecorderTest, AnAlteredReasonAndAnAlteredHashAreFound) {
  core::JobBench bench(job::TestSpec(1));
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(5);
  recorder_.reset();
  const std::string path = Files()[0].path;
  const std::string bytes = ReadBytes(path);
  Alter(path, [](v1::RecordedEvent* event) {
    if (event->commit().version().step() == 4) event->mutable_commit()->set_reasons(1, v1::UpdateReason::FROZEN);
  });
  FolderReplay replay = Replay();
  ASSERT_TRUE(replay.difference.has_value());
  EXPECT_EQ(replay.difference->recorded_reason, v1::UpdateReason::FROZEN);
  EXPECT_EQ(replay.difference->replayed_reason, v1::UpdateReason::MOVED);
  EXPECT_EQ(replay.difference->recorded_hash, replay.difference->replayed_hash);
  WriteBytes(path, bytes);
  Alter(path, [](v1::RecordedEvent* event) {
    if (event->commit().version().step() == 2) event->mutable_commit()->set_layer_hashes(0, 7);
  });
  replay = Replay();
  ASSERT_TRUE(replay.difference.has_value());
  EXPECT_EQ(replay.difference->step, 2u);
  EXPECT_EQ(replay.difference->recorded_hash, 7u);
}

TEST_F(RecorderTest, AFileThatDoesNotGoOnFromTheOneBeforeDiffers) {
  core::JobBench bench(job::TestSpec(1));
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(5);
  Restart(&bench);
  bench.PushAllUntil(9);
  recorder_.reset();
  Alter(Files()[1].path, [](v1::RecordedEvent* event) {
    if (!event->has_state()) return;
    event->mutable_state()->mutable_state()->mutable_layers(1)->set_ema(0, 7);
  });
  const FolderReplay replay = Replay();
  ASSERT_TRUE(replay.difference.has_value());
  EXPECT_EQ(replay.difference->step, 5u);
  EXPECT_EQ(replay.difference->layer, "b");
}

TEST_F(RecorderTest, EventsThatFitNothingAreDamage) {
  core::JobBench bench(job::TestSpec(1));
  Start();
  Record(&bench);
  bench.JoinAll();
  bench.PushAllUntil(5);
  recorder_.reset();
  const std::string path = Files()[0].path;
  const std::string bytes = ReadBytes(path);
  const struct {
    std::function<void(v1::RecordedCommit*)> alter;
    const char* message;
  } kCases[] = {
      {[](v1::RecordedCommit* commit) { commit->mutable_version()->set_step(9); },
       "step 9 of epoch 1 comes after step 2"},
      {[](v1::RecordedCommit* commit) { commit->mutable_version()->set_epoch(0); }, "comes after step 2 of epoch 1"},
      {[](v1::RecordedCommit* commit) { commit->add_counts(1); }, "step 3 has 8 counts"},
      {[](v1::RecordedCommit* commit) { commit->clear_tokens(); }, "0 tokens"},
      {[](v1::RecordedCommit* commit) { commit->set_counts(0, uint64_t{1} << 63); }, "more counts than an update"},
      {[](v1::RecordedCommit* commit) { commit->set_tokens(0, ~uint64_t{0}); }, "more counts than an update"},
  };
  for (const auto& c : kCases) {
    WriteBytes(path, bytes);
    Alter(path, [&](v1::RecordedEvent* event) {
      if (event->commit().version().step() == 3) c.alter(event->mutable_commit());
    });
    const FolderReplay replay = Replay();
    EXPECT_THAT(replay.damage, ElementsAre(HasSubstr(c.message)));
    EXPECT_EQ(replay.last, 2u);
  }
}

}  // namespace
}  // namespace evenkeel::recorder
