#include "client/reduce/groups.h"

#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

GroupOptions Named(const std::string& name, int expert_parallel_size = 0) {
  GroupOptions options;
  options.name = name;
  options.expert_parallel_size = expert_parallel_size;
  return options;
}

GroupOptions DeclaredAs(std::vector<int> ranks, int index, int count) {
  GroupOptions options = Named("stage");
  options.ranks = std::move(ranks);
  options.index = index;
  options.count = count;
  return options;
}

// The message of the INVALID_ARGUMENT that GroupOf answers with.
std::string Refusal(const GroupOptions& options, int rank, int world_size) {
  const absl::Status status = GroupOf(options, rank, world_size).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(GroupsTest, TwoByTwo) {
  const absl::StatusOr<Group> group = GroupOf(Named("ep", 2), /*rank=*/3, /*world_size=*/4);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_THAT(group->ranks, ElementsAre(2, 3));
  EXPECT_EQ(group->place, 1);
  EXPECT_EQ(group->index, 1);
  EXPECT_EQ(group->count, 2);
  EXPECT_FALSE(group->is_leader());
}

TEST(GroupsTest, EveryoneAndNobody) {
  const absl::StatusOr<Group> world = GroupOf(Named("world"), 2, 3);
  ASSERT_TRUE(world.ok()) << world.status();
  EXPECT_THAT(world->ranks, ElementsAre(0, 1, 2));
  EXPECT_EQ(world->place, 2);
  EXPECT_EQ(world->count, 1);
  const absl::StatusOr<Group> alone = GroupOf(Named(""), 2, 3);
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_THAT(alone->ranks, ElementsAre(2));
  EXPECT_TRUE(alone->is_leader());
  EXPECT_EQ(alone->index, 2);
  EXPECT_EQ(alone->count, 3);
}

TEST(GroupsTest, DeclaredRanksMayBeFarApart) {
  const absl::StatusOr<Group> group = GroupOf(DeclaredAs({1, 5, 9}, 1, 4), 5, 12);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_THAT(group->ranks, ElementsAre(1, 5, 9));
  EXPECT_EQ(group->place, 1);
  EXPECT_EQ(group->index, 1);
  EXPECT_EQ(group->count, 4);
}

TEST(GroupsTest, ExpertParallelSizeMustDivideTheWorld) {
  for (const int size : {-1, 0, 3, 5, 8}) {
    EXPECT_THAT(Refusal(Named("ep", size), 0, 4),
                HasSubstr("group.expert_parallel_size " + std::to_string(size) + " must"))
        << size;
  }
  EXPECT_THAT(Refusal(Named("ep", 5), 0, 4), HasSubstr("world_size 4"));
}

TEST(GroupsTest, WhatBelongsToAnotherKindOfGroupIsRefused) {
  EXPECT_THAT(Refusal(Named("world", 2), 0, 4), HasSubstr("group.expert_parallel_size 2"));
  EXPECT_THAT(Refusal(Named("", 2), 0, 4), HasSubstr("group.expert_parallel_size 2"));
  GroupOptions options = Named("world");
  options.ranks = {0, 1};
  EXPECT_THAT(Refusal(options, 0, 4), HasSubstr("group.ranks 0,1"));
}

TEST(GroupsTest, RanksOutsideOfTheWorldAreRefused) {
  EXPECT_THAT(Refusal(Named("world"), 4, 4), HasSubstr("rank 4"));
  EXPECT_THAT(Refusal(Named("world"), -1, 4), HasSubstr("rank -1"));
  EXPECT_THAT(Refusal(Named("world"), 0, 0), HasSubstr("world_size 0"));
}

TEST(GroupsTest, DeclaredGroupsAreChecked) {
  EXPECT_THAT(Refusal(DeclaredAs({1, 0}, 0, 1), 0, 4), HasSubstr("ascending"));
  EXPECT_THAT(Refusal(DeclaredAs({0, 0}, 0, 1), 0, 4), HasSubstr("ascending"));
  EXPECT_THAT(Refusal(DeclaredAs({0, 4}, 0, 1), 0, 4), HasSubstr("0 .. 3"));
  EXPECT_THAT(Refusal(DeclaredAs({-1, 0}, 0, 1), 0, 4), HasSubstr("0 .. 3"));
  EXPECT_THAT(Refusal(DeclaredAs({1, 2}, 0, 1), 0, 4), HasSubstr("hold the rank 0"));
  EXPECT_THAT(Refusal(DeclaredAs({}, 0, 1), 0, 4), HasSubstr("hold the rank 0"));
  EXPECT_THAT(Refusal(DeclaredAs({0, 1}, 2, 2), 0, 4), HasSubstr("group.index 2"));
  EXPECT_THAT(Refusal(DeclaredAs({0, 1}, -1, 2), 0, 4), HasSubstr("group.index -1"));
  EXPECT_THAT(Refusal(DeclaredAs({0, 1}, 0, 0), 0, 4), HasSubstr("group.count is 0"));
}

// Asks every rank for its group: together they must be a partition of the world.
void ExpectPartition(const GroupOptions& options, int world_size) {
  SCOPED_TRACE("\"" + options.name + "\" " + std::to_string(options.expert_parallel_size) + " of " +
               std::to_string(world_size));
  std::map<int, std::vector<int>> members;
  std::map<int, int> leaders;
  std::set<int> counts;
  for (int rank = 0; rank < world_size; ++rank) {
    const absl::StatusOr<Group> group = GroupOf(options, rank, world_size);
    ASSERT_TRUE(group.ok()) << group.status();
    ASSERT_LT(group->place, group->size());
    EXPECT_EQ(group->ranks[group->place], rank);
    members[group->index].push_back(rank);
    // Whatever one member says of the group, all say.
    const absl::StatusOr<Group> leaders_view = GroupOf(options, group->ranks[0], world_size);
    ASSERT_TRUE(leaders_view.ok());
    EXPECT_EQ(leaders_view->ranks, group->ranks);
    leaders[group->index] += group->is_leader();
    counts.insert(group->count);
  }
  EXPECT_THAT(counts, ElementsAre(static_cast<int>(members.size())));
  int index = 0;
  for (const auto& [group_index, ranks] : members) {
    EXPECT_EQ(group_index, index++);
    EXPECT_EQ(leaders[group_index], 1);
    EXPECT_EQ(GroupOf(options, ranks[0], world_size)->ranks, ranks);
  }
}

TEST(GroupsTest, GroupsPartitionTheWorld) {
  for (int world_size = 1; world_size <= 24; ++world_size) {
    ExpectPartition(Named(""), world_size);
    ExpectPartition(Named("world"), world_size);
    for (int size = 1; size <= world_size; ++size) {
      if (world_size % size == 0) ExpectPartition(Named("ep", size), world_size);
    }
  }
}

}  // namespace
}  // namespace evenkeel::client
