#include "tests/benchmarks/thread_team.h"

#include <sched.h>

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::benchmarks {
namespace {

TEST(ThreadTeamTest, EveryMemberDoesEveryJobOnce) {
  for (const int size : {1, 2, 5}) {
    ThreadTeam team(size);
    ASSERT_EQ(team.size(), size);
    std::vector<int> done(size);
    for (int job = 1; job <= 1000; ++job) {
      team.Run([&](int member) { ++done[member]; });
      // Not atomic: Run is what orders the members' writes before these reads.
      ASSERT_EQ(done, std::vector<int>(size, job));
    }
  }
}

TEST(ThreadTeamTest, TheMembersWorkAtTheSameTimeAndTheCallerIsTheFirst) {
  ThreadTeam team(3);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> arrived{0};
  std::vector<std::thread::id> ids(3);
  team.Run([&](int member) {
    ids[member] = std::this_thread::get_id();
    ++arrived;
    while (arrived < 3) std::this_thread::yield();
  });
  EXPECT_EQ(ids[0], caller);
  EXPECT_NE(ids[1], caller);
  EXPECT_NE(ids[2], caller);
  EXPECT_NE(ids[1], ids[2]);
}

TEST(ThreadTeamTest, MembersKeepToCoresOfTheirOwnWhereThereAreEnough) {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  {
    ThreadTeam team(CPU_COUNT(&before));
    std::vector<cpu_set_t> cores(team.size());
    team.Run([&](int member) { sched_getaffinity(0, sizeof(cpu_set_t), &cores[member]); });
    cpu_set_t all;
    CPU_ZERO(&all);
    for (const cpu_set_t& own : cores) {
      EXPECT_EQ(CPU_COUNT(&own), 1);
      CPU_OR(&all, &all, &own);
    }
    EXPECT_TRUE(CPU_EQUAL(&all, &before));
  }
  {
    ThreadTeam team(CPU_COUNT(&before) + 1);
    team.Run([&](int member) {
      cpu_set_t own;
      sched_getaffinity(0, sizeof(own), &own);
      EXPECT_TRUE(CPU_EQUAL(&own, &before)) << member;
    });
  }
  ASSERT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&after, &before));
}

TEST(ThreadTeamTest, ATeamThatNeverWorksEnds) { ThreadTeam team(4); }

}  // namespace
}  // namespace evenkeel::benchmarks
