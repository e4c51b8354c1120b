#include "server/core/count_range.h"

namespace evenkeel::core {
namespace {

constexpr int kHighShift = 32;

// No more than 2^32 words, whose sum fits.
uint64_t SumOfWords(const uint32_t* words, int size) {
  uint64_t sum = 0;
  for (int i = 0; i < size; ++i) sum += words[i];
  return sum;
}

template <typename Apply>
void ForEachCount(const v1::Counts& counts, int first, int size, uint64_t* sums, Apply apply) {
  const uint32_t* const low = counts.low().data() + first;
  for (int i = 0; i < size; ++i) apply(uint64_t{low[i]}, &sums[i]);
  if (counts.high_size() == 0) return;
  const uint32_t* const high = counts.high().data() + first;
  for (int i = 0; i < size; ++i) apply(uint64_t{high[i]} << kHighShift, &sums[i]);
}

}  // namespace

unsigned __int128 SumOfCounts(const v1::Counts& counts, int first, int size) {
  unsigned __int128 sum = SumOfWords(counts.low().data() + first, size);
  if (counts.high_size() > 0) {
    sum += static_cast<unsigned __int128>(SumOfWords(counts.high().data() + first, size)) << kHighShift;
  }
  return sum;
}

void AddCounts(const v1::Counts& counts, int first, int size, uint64_t* sums) {
  ForEachCount(counts, first, size, sums, [](uint64_t number, uint64_t* sum) { *sum += number; });
}

void SubtractCounts(const v1::Counts& counts, int first, int size, uint64_t* sums) {
  ForEachCount(counts, first, size, sums, [](uint64_t number, uint64_t* sum) { *sum -= number; });
}

}  // namespace evenkeel::core
