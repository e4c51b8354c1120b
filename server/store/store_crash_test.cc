// What a crash leaves: always the state of the last Apply that returned, or of the one that was under way, whole.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/fault_vfs.h"
#include "server/store/schema.h"
#include "server/store/store.h"
#include "server/store/test_process.h"
#include "server/store/test_records.h"

namespace evenkeel::store {
namespace {

// One transaction over two jobs; every number in it follows from `tag`.
absl::Status ApplyTag(Store* store, uint64_t tag) { return store->Apply({TestWrite("a", tag), TestWrite("b", tag)}); }

std::string TextOfTag(uint64_t tag) { return tag == 0 ? "" : Text({TestRecord("a", tag), TestRecord("b", tag)}); }

// Everything that `directory` remembers.
std::string TextIn(const std::string& directory) {
  const auto store = Store::Open(directory);
  if (!store.ok()) return store.status().ToString();
  const auto records = (*store)->Load();
  return records.ok() ? Text(*records) : records.status().ToString();
}

TEST(StoreCrashTest, AnAppliedStateSurvivesAProcessThatNeverClosed) {
  const ScratchDirectory scratch;
  for (uint64_t tag = 1; tag <= 3; ++tag) {
    ASSERT_EQ(RunInChild([&] {
                const auto store = Store::Open(scratch.path());
                return store.ok() && ApplyTag(store->get(), tag).ok() ? 0 : 1;
              }),
              0);
    EXPECT_EQ(TextIn(scratch.path()), TextOfTag(tag));
  }
}

// Applies tag after tag, from `first`, and reports each to `pipe` once it is on disk.
[[noreturn]] void ApplyUntilKilled(const std::string& directory, uint64_t first, int pipe) {
  const auto store = Store::Open(directory);
  if (!store.ok()) _exit(1);
  for (uint64_t tag = first;; ++tag) {
    if (!ApplyTag(store->get(), tag).ok()) _exit(1);
    if (write(pipe, &tag, sizeof(tag)) != sizeof(tag)) _exit(1);
  }
}

// Kills such a process when it has reported `reports` tags and then `microseconds` have gone by: anywhere in an Apply.
// Returns the last tag that it reported.
uint64_t KillAfter(const std::string& directory, uint64_t first, int reports, int microseconds) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) ApplyUntilKilled(directory, first, ends[1]);
  close(ends[1]);
  uint64_t last = first - 1;
  for (int report = 0; report < reports; ++report) {
    EXPECT_EQ(read(ends[0], &last, sizeof(last)), sizeof(last));
  }
  usleep(microseconds);
  EXPECT_EQ(kill(child, SIGKILL), 0);
  while (read(ends[0], &last, sizeof(last)) == sizeof(last)) {
  }
  close(ends[0]);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  return last;
}

TEST(StoreCrashTest, KilledInTheMiddleItHasTheLastStateOrTheOneUnderWay) {
  constexpr int kRounds = 12;
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const ScratchDirectory scratch;
  uint64_t tag = 0;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t reported = KillAfter(scratch.path(), tag + 1, 1 + random() % 10, random() % 2000);
    const std::string text = TextIn(scratch.path());
    tag = text == TextOfTag(reported) ? reported : reported + 1;
    ASSERT_EQ(text, TextOfTag(tag)) << "round " << round << ", reported " << reported;
  }
}

TEST(StoreCrashTest, AnAppliedStateSurvivesALossOfPower) {
  const ScratchDirectory scratch;
  FaultVfs vfs;
  const auto store = Store::Open(scratch.path());
  ASSERT_TRUE(store.ok()) << store.status();
  // The database has one page until its log, grown long, is written back to it; the log then starts anew.
  const std::string database = absl::StrCat(scratch.path(), "/", kDatabaseName);
  const uint64_t page = std::filesystem::file_size(database);
  int losses_after_write_back = 0;
  for (uint64_t tag = 1; losses_after_write_back < 10; ++tag) {
    ASSERT_TRUE(ApplyTag(store->get(), tag).ok());
    const bool written_back = std::filesystem::file_size(database) > page;
    if (tag > 3 && !written_back) continue;
    const ScratchDirectory after;
    vfs.CopySynced(scratch.path(), after.path());
    ASSERT_EQ(TextIn(after.path()), TextOfTag(tag));
    losses_after_write_back += written_back;
  }
}

}  // namespace
}  // namespace evenkeel::store
