// A real evenkeeld on a disk that is full, read-only or does not sync: it ends, says in one line why and what to do,
// and whatever it had answered is there in its next life.

#include <signal.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/evenkeeld_process.h"
#include "tests/private_mount.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class DiskFaultTest : public ::testing::Test {
 protected:
  // Mounts are made before gRPC starts its threads, for all tests.
  static void SetUpTestSuite() { mount_ = new absl::StatusOr<PrivateMount>(PrivateMount::Mount(1 << 20)); }
  static void TearDownTestSuite() { delete std::exchange(mount_, nullptr); }

  DiskFaultTest() { options_.state_dir = NewFolder("state"); }

  // Fails, or goes through steps until `last`, or until the process has ended. Returns the last version that was
  // answered.
  v1::CommittedVersion RunSteps(v1::BiasCoordinator::Stub* stub, uint64_t last) {
    v1::CommittedVersion version;
    const auto joined = Join(stub, JoinOf(job_, 0, /*incarnation=*/7, /*next_step=*/1));
    if (!joined.ok()) return version;
    v1::JoinResponse in_force = *joined;
    version = joined->version();
    while (version.version().step() < last) {
      const auto answer = Push(stub, PushOf(job_, 0, 7, version.version().step() + 1, in_force));
      if (!answer.ok()) break;
      version = *answer;
      *in_force.mutable_version() = version;
    }
    return version;
  }

  // The next life, on a disk that is good again, knows what the last one answered, and perhaps the step that it did not
  // get to answer.
  void ExpectKept(const v1::CommittedVersion& answered) {
    options_.environment.clear();
    const auto process = EvenkeeldProcess::Start(options_);
    ASSERT_TRUE(process.ok()) << process.status();
    v1::JoinRequest join = JoinOf(job_, 0, /*incarnation=*/8, /*next_step=*/1);
    join.set_catch_up(true);
    const auto joined = Join((*process)->NewStub().get(), join);
    ASSERT_TRUE(joined.ok()) << joined.status();
    const uint64_t ahead = joined->version().version().step() - answered.version().step();
    EXPECT_LE(ahead, 1);
    if (ahead == 0 && answered.version().step() > 0) {
      EXPECT_EQ(joined->version().SerializeAsString(), answered.SerializeAsString());
    }
    (*process)->Signal(SIGTERM);
    EXPECT_EQ((*process)->Wait().exit_code, 0);
  }

  // One line that names the path, the system's words and what to do.
  void ExpectTold(const Ending& ending, const std::string& words) {
    EXPECT_EQ(ending.exit_code, 1) << ending.stderr_text;
    int lines = 0;
    for (const absl::string_view line : absl::StrSplit(ending.stderr_text, '\n')) {
      if (line.find(words) == absl::string_view::npos) continue;
      ++lines;
      EXPECT_THAT(std::string(line), AllOf(HasSubstr("evenkeeld: "), HasSubstr(options_.state_dir)));
    }
    EXPECT_EQ(lines, 1) << ending.stderr_text;
  }

  static absl::StatusOr<PrivateMount>* mount_;
  EvenkeeldProcess::Options options_;
  const v1::JobSpec job_ = SmallJob("run", 1);
};

absl::StatusOr<PrivateMount>* DiskFaultTest::mount_ = nullptr;

#define SKIP_WITHOUT_MOUNTS() \
  if (!mount_->ok()) GTEST_SKIP() << mount_->status()

TEST_F(DiskFaultTest, AFullDiskEndsItAndWhatWasAnsweredIsThereWhenThereIsRoom) {
  SKIP_WITHOUT_MOUNTS();
  PrivateMount& disk = mount_->value();
  options_.state_dir = disk.path() + "/full";
  int injected = 0;
  uint64_t steps = 0;
  // The disk fills up elsewhere in a commit each time.
  for (size_t bytes = 300 << 10; bytes < (800 << 10); bytes += 36 << 10) {
    ASSERT_TRUE(disk.Resize(bytes).ok());
    const auto process = EvenkeeldProcess::Start(options_);
    if (!process.ok()) {
      EXPECT_THAT(std::string(process.status().message()), HasSubstr("disk is full"));
    } else {
      const v1::CommittedVersion answered = RunSteps((*process)->NewStub().get(), 10'000);
      steps += answered.version().step();
      const Ending ending = (*process)->Wait();
      ExpectTold(ending, "disk is full");
      EXPECT_THAT(ending.stderr_text, HasSubstr("start again"));
      ASSERT_TRUE(disk.Resize(64 << 20).ok());
      ExpectKept(answered);
    }
    ++injected;
    ASSERT_FALSE(HasFailure()) << bytes << " bytes";
    std::filesystem::remove_all(options_.state_dir);
  }
  std::cout << "fault disk full: " << injected << " injected after " << steps << " steps, 0 steps lost\n";
  EXPECT_GT(steps, 0);
}

TEST_F(DiskFaultTest, AReadOnlyDiskIsToldAtTheStart) {
  SKIP_WITHOUT_MOUNTS();
  absl::StatusOr<PrivateMount> disk = PrivateMount::Mount(8 << 20);
  ASSERT_TRUE(disk.ok()) << disk.status();
  options_.state_dir = disk->path() + "/state";
  v1::CommittedVersion answered;
  {
    const auto process = EvenkeeldProcess::Start(options_);
    ASSERT_TRUE(process.ok()) << process.status();
    answered = RunSteps((*process)->NewStub().get(), 3);
    ASSERT_EQ(answered.version().step(), 3);
  }
  ASSERT_TRUE(disk->SetReadOnly().ok());
  ExpectTold(RunEvenkeeld({"--state_dir=" + options_.state_dir, "--listen=127.0.0.1:0", "--metrics_listen=none"}),
             "Read-only file system");
  ASSERT_TRUE(disk->Resize(8 << 20).ok());  // and writable
  ExpectKept(answered);
}

// Each sync of a short life in turn is the first that fails.
TEST_F(DiskFaultTest, ASyncThatFailsEndsItAndWhatWasAnsweredIsThere) {
  constexpr uint64_t kSteps = 4;
  int injected = 0;
  for (int good = 0;; ++good) {
    const std::string folder = NewFolder("state");
    options_.state_dir = folder + "/dir";
    options_.environment = {"LD_PRELOAD=" + BuiltProgram("tests/failing_sync.so"),
                            absl::StrCat("FAILING_SYNC_AFTER=", good), "ASAN_OPTIONS=verify_asan_link_order=0"};
    const auto process = EvenkeeldProcess::Start(options_);
    v1::CommittedVersion answered;
    if (!process.ok()) {
      EXPECT_THAT(
          std::string(process.status().message()),
          AllOf(HasSubstr("exit 1: "), HasSubstr(folder), ContainsRegex("Input/output error|disk I/O error in fsync")));
    } else {
      answered = RunSteps((*process)->NewStub().get(), kSteps);
      if (answered.version().step() == kSteps) break;
      const Ending ending = (*process)->Wait();
      ExpectTold(ending, "disk I/O error in fsync");
      EXPECT_THAT(ending.stderr_text, HasSubstr("nothing was answered that is not on disk"));
    }
    ++injected;
    ExpectKept(answered);
    ASSERT_FALSE(HasFailure()) << "after " << good << " good syncs";
  }
  std::cout << "fault sync failed: " << injected << " injected, 0 steps lost\n";
  EXPECT_GT(injected, static_cast<int>(kSteps));
}

}  // namespace
}  // namespace evenkeel::tests
