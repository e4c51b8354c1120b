// The text of the device, run by emulated blocks, against the reference: the same sums for any call.

#include "kernels/counting/cuda/emulated_count.h"

#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/counting/count_problem.h"

namespace evenkeel::counting {
namespace {

// What the random calls came to, so that a test sees that it has met every kind.
struct Seen {
  int counted = 0;
  int refused = 0;

  void Add(const Counted& each) {
    counted += each.stats.valid_rows > 0;
    refused += each.refused > 0;
  }
};

template <int kThreads>
Seen ExpectIdsAsTheReference(int seeds, int blocks) {
  Seen seen;
  for (int seed = 0; seed < seeds && !testing::Test::HasFailure(); ++seed) {
    const IdsProblem problem = RandomIds(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << problem.Describe());
    Counted counted(problem.num_experts);
    EXPECT_TRUE(EmulatedCountIds<kThreads>(problem.Input(), counted.Output(), blocks, seed).ok());
    const Counted expected = Count(problem);
    EXPECT_EQ(counted, expected);
    seen.Add(expected);
  }
  return seen;
}

template <int kThreads>
Seen ExpectSumsAsTheReference(int seeds) {
  Seen seen;
  for (int seed = 0; seed < seeds && !testing::Test::HasFailure(); ++seed) {
    const CountsProblem problem = RandomCounts(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << problem.Describe());
    Counted counted(problem.num_experts);
    EXPECT_TRUE(EmulatedAddCounts<kThreads>(problem.Input(), counted.Output(), seed).ok());
    const Counted expected = Count(problem);
    EXPECT_EQ(counted, expected);
    seen.Add(expected);
  }
  return seen;
}

TEST(EmulatedCountTest, IdsInTheBlocksOfTheDevice) {
  const Seen seen = ExpectIdsAsTheReference<256>(600, 3);
  EXPECT_GT(seen.counted, 300);
  EXPECT_GT(seen.refused, 300);
}

TEST(EmulatedCountTest, IdsInBlocksOfAnySize) {
  ExpectIdsAsTheReference<1>(100, 1);
  ExpectIdsAsTheReference<3>(100, 2);
  ExpectIdsAsTheReference<32>(100, 5);
  ExpectIdsAsTheReference<1024>(100, 1);
}

TEST(EmulatedCountTest, SumsInTheBlockOfTheDevice) {
  const Seen seen = ExpectSumsAsTheReference<256>(600);
  EXPECT_GT(seen.counted, 200);
  EXPECT_GT(seen.refused, 200);
}

TEST(EmulatedCountTest, SumsInABlockOfAnySize) {
  ExpectSumsAsTheReference<1>(100);
  ExpectSumsAsTheReference<32>(100);
  ExpectSumsAsTheReference<1024>(100);
}

TEST(EmulatedCountTest, SumsDoNotWrapRound) {
  const std::vector<int64_t> counts(4, int64_t{1} << 62);
  CountsInput input;
  input.num_experts = 4;
  input.top_k = 1;
  input.counts = counts.data();
  Counted counted(4);
  EXPECT_TRUE(EmulatedAddCounts<32>(input, counted.Output(), 0).ok());
  Counted refused(4);
  refused.refused = 1;
  EXPECT_EQ(counted, refused);
}

TEST(EmulatedCountTest, CallsAddUp) {
  const IdsProblem ids = RandomIdsOf(64, 6, 500, routing::IdType::kInt64, 1);
  const Counted once = Count(ids);
  Counted counted(64);
  for (int call = 0; call < 3; ++call) EXPECT_TRUE(EmulatedCountIds<256>(ids.Input(), counted.Output(), 2, call).ok());
  EXPECT_EQ(counted.stats.valid_rows, 1500);
  EXPECT_EQ(counted.stats.short_slots, 3 * once.stats.short_slots);
  for (int expert = 0; expert < 64; ++expert) EXPECT_EQ(counted.counts[expert], 3 * once.counts[expert]);
}

// The device gives a block no more of it than that.
TEST(EmulatedCountTest, FewExpertsNeedTheBeginningOfTheMemory) {
  for (const int top_k : {8, 40}) {
    const IdsProblem problem = RandomIdsOf(72, top_k, 300, routing::IdType::kInt32, 1);
    Counted counted(72);
    ShuffledBlock<256, CountMemory> block(1);
    CallForIds(problem.Input(), [&](auto slots, auto id) {
      CountIdsInBlock<decltype(slots)::value, decltype(id)>(block, problem.Input(), counted.Output(), {0, 1});
    });
    EXPECT_EQ(counted, Count(problem));
    std::vector<uint8_t> memory(sizeof(CountMemory));
    std::memcpy(memory.data(), &block.memory(), memory.size());
    const auto rest = memory.begin() + CountMemoryBytes(72);
    EXPECT_EQ(std::vector<uint8_t>(rest, memory.end()), std::vector<uint8_t>(memory.end() - rest, kSharedGarbage));
  }
}

TEST(EmulatedCountTest, PhasesAreAllThatThreadsNeedToMeetAt) {
  constexpr int kThreads = 8;
  for (const int top_k : {8, 40}) {
    IdsProblem problem = RandomIdsOf(48, top_k, 40, routing::IdType::kInt32, top_k);
    const int32_t twice[2] = {5, 5};
    std::memcpy(problem.ids.data() + top_k * sizeof(int32_t), twice, sizeof(twice));
    Counted counted(48);
    CallForIds(problem.Input(), [&](auto slots, auto id) {
      ThreadedBlock<kThreads, CountMemory>::RunAll([&](auto& block) {
        CountIdsInBlock<decltype(slots)::value, decltype(id)>(block, problem.Input(), counted.Output(), {0, 1});
      });
    });
    EXPECT_EQ(counted, Count(problem));
    EXPECT_EQ(counted.refused, 1);
  }
  for (int seed = 0; seed < 20; ++seed) {
    const CountsProblem problem = RandomCounts(seed);
    Counted counted(problem.num_experts);
    CallForCounts(problem.Input(), [&](auto count) {
      ThreadedBlock<kThreads, SumMemory<kThreads>>::RunAll(
          [&](auto& block) { AddCountsInBlock<decltype(count)>(block, problem.Input(), counted.Output()); });
    });
    EXPECT_EQ(counted, Count(problem)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace evenkeel::counting
