#include "kernels/checksum/checksum.h"

#include <cstring>
#include <random>
#include <unordered_set>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::checksum {
namespace {

using Words = std::vector<uint32_t>;

uint64_t Of(const Words& words, uint64_t start = 0) { return Checksum(words.data(), words.size(), start); }

Words RandomWords(int size, uint32_t below, std::mt19937_64* random) {
  Words words(size);
  for (uint32_t& word : words) word = (*random)() % below;
  return words;
}

TEST(ChecksumTest, IsTheFormula) {
  const auto mix = [](uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  };
  EXPECT_EQ(Of({1}), 0x5692161d100b05e5);
  EXPECT_EQ(Of({1, 2, 0, 7}, /*start=*/5), 5 + mix(1) + mix((uint64_t{1} << 32) + 2) + mix((uint64_t{3} << 32) + 7));
}

TEST(ChecksumTest, OfZerosIsTheStart) {
  EXPECT_EQ(Of({}), 0);
  EXPECT_EQ(Of(Words(1000)), 0);
  EXPECT_EQ(Of(Words(1000), /*start=*/1), 1);
}

TEST(ChecksumTest, ReadsFloatsAndLongWordsAsTheyLie) {
  const float values[] = {1.0f, -0.0f};
  EXPECT_EQ(Checksum(values, 2, 0), Of({0x3f800000, 0x80000000}));
  const uint64_t counts[] = {uint64_t{3} << 32 | 9};
  EXPECT_EQ(Checksum(counts, 2, 0), Of({9, 3}));
}

TEST(ChecksumTest, PartsAddUp) {
  std::mt19937_64 random(1);
  const Words words = RandomWords(100, 50, &random);
  for (const int cut : {0, 1, 37, 100}) {
    Words first = words;
    Words second = words;
    std::fill(first.begin() + cut, first.end(), 0);
    std::fill(second.begin(), second.begin() + cut, 0);
    EXPECT_EQ(Of(second, /*start=*/Of(first)), Of(words));
  }
}

TEST(ChecksumTest, FindsEveryFlippedBit) {
  std::mt19937_64 random(2);
  for (const uint32_t below : {1u, 3u, 0xffffffffu}) {
    Words words = RandomWords(64, below, &random);
    const uint64_t right = Of(words);
    for (uint32_t& word : words) {
      for (int bit = 0; bit < 32; ++bit) {
        word ^= 1u << bit;
        EXPECT_NE(Of(words), right) << "bit " << bit << " of word " << &word - words.data();
        word ^= 1u << bit;
      }
    }
  }
}

TEST(ChecksumTest, FindsEverySwap) {
  std::mt19937_64 random(3);
  Words words = RandomWords(64, 8, &random);
  const uint64_t right = Of(words);
  for (size_t i = 0; i < words.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (words[i] == words[j]) continue;
      std::swap(words[i], words[j]);
      EXPECT_NE(Of(words), right) << i << " and " << j;
      std::swap(words[i], words[j]);
    }
  }
}

// Small numbers, as counts are: the likeliest to collide.
TEST(ChecksumTest, AMillionArraysDoNotCollide) {
  std::mt19937_64 random(4);
  std::unordered_set<uint64_t> seen;
  int different = 0;
  std::unordered_set<uint64_t> arrays;
  for (int i = 0; i < 1'000'000; ++i) {
    const Words words = RandomWords(8, 100, &random);
    uint64_t name = 0;  // 8 numbers below 100 fit
    for (const uint32_t word : words) name = name * 100 + word;
    if (!arrays.insert(name).second) continue;
    ++different;
    EXPECT_TRUE(seen.insert(Of(words)).second) << "seed 4, array " << i;
  }
  EXPECT_GT(different, 999'000);
}

}  // namespace
}  // namespace evenkeel::checksum
