#include "client/worker/process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

TEST(NewIncarnationTest, IsNeverZeroNorTheSameTwice) {
  std::set<uint64_t> seen = {0};
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(NewIncarnation()).second);
}

TEST(NewIncarnationTest, DiffersInForkedProcesses) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const uint64_t theirs = NewIncarnation();
    _exit(write(ends[1], &theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
  }
  const uint64_t ours = NewIncarnation();
  uint64_t theirs = 0;
  ASSERT_EQ(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
  int exit_status = -1;
  ASSERT_EQ(waitpid(child, &exit_status, 0), child);
  EXPECT_EQ(exit_status, 0);
  EXPECT_NE(ours, theirs);
  close(ends[0]);
  close(ends[1]);
}

TEST(DescribeProcessTest, NamesHostProcessAndLibrary) {
  const v1::WorkerInfo info = DescribeProcess();
  EXPECT_FALSE(info.hostname().empty());
  EXPECT_EQ(info.process_id(), getpid());
  EXPECT_EQ(info.library_version(), kLibraryVersion);
}

}  // namespace
}  // namespace evenkeel::client
