#include "kernels/checksum/cuda/checksum_block.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/checksum/checksum.h"
#include "kernels/emulated_block.h"

namespace evenkeel::checksum {
namespace {

constexpr int kThreads = 32;

std::vector<uint32_t> RandomWords(int size, std::mt19937_64* random) {
  std::vector<uint32_t> words(size);
  for (uint32_t& word : words) word = (*random)() % 4 == 0 ? 0 : (*random)();
  return words;
}

// Blocks and threads in an order of the seed's.
TEST(ChecksumBlockTest, AnyOrderGivesTheHostsBits) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const std::vector<uint32_t> words = RandomWords(random() % 500, &random);
    const int blocks = 1 + random() % 5;
    const uint64_t start = random() % 2;
    std::vector<int> order(blocks);
    for (int i = 0; i < blocks; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    uint64_t sum = 0;
    for (const int index : order) {
      ShuffledBlock<kThreads, PartialSums<kThreads>> block(random());
      ChecksumInBlock(block, words.data(), words.size(), start, &sum, index, blocks);
    }
    EXPECT_EQ(sum, Checksum(words.data(), words.size(), start)) << "seed " << seed;
  }
}

// ThreadSanitizer sees whether the phases are enough.
TEST(ChecksumBlockTest, RealThreadsGiveTheHostsBits) {
  std::mt19937_64 random(1);
  const std::vector<uint32_t> words = RandomWords(300, &random);
  uint64_t sum = 0;
  for (int index = 0; index < 2; ++index) {
    ThreadedBlock<8, PartialSums<8>>::RunAll(
        [&](auto& block) { ChecksumInBlock(block, words.data(), words.size(), /*start=*/1, &sum, index, 2); });
  }
  EXPECT_EQ(sum, Checksum(words.data(), words.size(), /*start=*/1));
}

}  // namespace
}  // namespace evenkeel::checksum
