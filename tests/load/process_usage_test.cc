#include "tests/load/process_usage.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::load {
namespace {

double OwnCpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

TEST(ProcessUsageTest, CountsTheTimeOfThreadsThatHaveEnded) {
  const double before = UsageOf(getpid()).cpu_seconds;
  const double start = OwnCpuSeconds();
  std::thread([&] {
    while (OwnCpuSeconds() < start + 0.05) {
    }
  }).join();
  const double after = UsageOf(getpid()).cpu_seconds;
  EXPECT_GE(after - before, 0.05);
  EXPECT_LE(after, OwnCpuSeconds());
}

TEST(ProcessUsageTest, MemoryIsThatWhichIsThereAndItsPeakStays) {
  constexpr int64_t kBytes = 64 << 20;
  const ProcessUsage before = UsageOf(getpid());
  EXPECT_GT(before.resident_bytes, 0);
  ProcessUsage with;
  {
    const std::vector<char> touched(kBytes, 1);
    with = UsageOf(getpid());
  }
  const ProcessUsage after = UsageOf(getpid());
  EXPECT_GE(with.resident_bytes, before.resident_bytes + kBytes * 9 / 10);
  EXPECT_LE(after.resident_bytes, with.resident_bytes - kBytes * 9 / 10);
  EXPECT_GE(after.peak_resident_bytes, after.resident_bytes + kBytes * 8 / 10);
}

TEST(ProcessUsageTest, SwitchesOnlyRise) {
  const int64_t before = UsageOf(getpid()).context_switches;
  for (int i = 0; i < 20; ++i) {
    const timespec while_others_run = {0, 1};
    nanosleep(&while_others_run, nullptr);
  }
  EXPECT_GE(UsageOf(getpid()).context_switches, before + 20);
}

TEST(ProcessUsageTest, OpenFiles) {
  const int before = UsageOf(getpid()).open_files;
  const int file = dup(STDERR_FILENO);
  EXPECT_EQ(UsageOf(getpid()).open_files, before + 1);
  close(file);
  EXPECT_EQ(UsageOf(getpid()).open_files, before);
}

TEST(ProcessUsageTest, OfNoProcessItIsNothing) {
  const ProcessUsage usage = UsageOf(-1);
  EXPECT_EQ(usage.cpu_seconds, 0);
  EXPECT_EQ(usage.resident_bytes, 0);
  EXPECT_EQ(usage.context_switches, 0);
  EXPECT_EQ(usage.open_files, 0);
}

}  // namespace
}  // namespace evenkeel::load
