#pragma once

#include <cstdint>

#include "kernels/atomic.h"
#include "kernels/counting/count.h"
#include "kernels/ieee.h"

// CountsInput added by one block, in one text as count_ids.h: validated first, and only then added. The counts are read
// twice, the second time from the cache.
namespace evenkeel::counting {

// Exact: kMaxExperts counts of kMaxCount are 2^62.
struct CheckedSum {
  uint64_t sum;
  bool countable;  // whether all counts are what CountsInput asks for
};

template <int kThreads>
struct SumMemory {
  CheckedSum parts[kThreads];
};

EVENKEEL_HD_INLINE CheckedSum CheckedCount(int64_t count) {
  const bool countable = count >= 0 && count <= static_cast<int64_t>(kMaxCount);
  return {countable ? static_cast<uint64_t>(count) : 0, countable};
}

EVENKEEL_HD_INLINE CheckedSum CheckedCount(int32_t count) { return CheckedCount(int64_t{count}); }

EVENKEEL_HD_INLINE CheckedSum CheckedCount(float count) {
  if (!(count >= 0 && count <= kMaxFloatCount)) return {0, false};
  const uint64_t whole = static_cast<uint64_t>(count);
  return {whole, static_cast<float>(whole) == count};
}

EVENKEEL_HD_INLINE CheckedSum Plus(const CheckedSum& a, const CheckedSum& b) {
  return {a.sum + b.sum, a.countable && b.countable};
}

// Of all experts.
template <typename Count, typename Block>
EVENKEEL_HD_INLINE CheckedSum SumCounts(Block& block, const CountsInput& input) {
  CheckedSum* const parts = block.memory().parts;
  block.Phase([&](int thread) {
    CheckedSum own = {0, true};
    for (int expert = thread; expert < input.num_experts; expert += Block::kThreads) {
      own = Plus(own, CheckedCount(static_cast<const Count*>(input.counts)[expert]));
    }
    parts[thread] = own;
  });
  for (int half = Block::kThreads / 2; half > 0; half /= 2) {
    block.Phase([&](int thread) {
      if (thread < half) parts[thread] = Plus(parts[thread], parts[thread + half]);
    });
  }
  return parts[0];
}

// What the only block does; Block::kThreads is a power of two, and Count the type that input.type names.
template <typename Count, typename Block>
EVENKEEL_HD_INLINE void AddCountsInBlock(Block& block, const CountsInput& input, const CountOutput& output) {
  const CheckedSum checked = SumCounts<Count>(block, input);
  const uint64_t assigned = input.top_k * input.valid_rows - input.short_slots;
  const bool added = checked.countable && (input.any_sum || checked.sum == assigned);
  block.Phase([&](int thread) {
    for (int expert = thread; added && expert < input.num_experts; expert += Block::kThreads) {
      const uint64_t count = static_cast<uint64_t>(static_cast<const Count*>(input.counts)[expert]);
      if (count != 0) AtomicAdd64(&output.counts[expert], count);
    }
    if (thread != 0) return;
    if (!added) {
      AtomicAdd64(output.refused, 1);
    } else if (!input.any_sum) {
      AtomicAdd64(&output.stats->valid_rows, input.valid_rows);
      AtomicAdd64(&output.stats->short_slots, input.short_slots);
    }
  });
}

// call(Count()) for the Count of AddCountsInBlock.
template <typename Call>
auto CallForCounts(const CountsInput& input, Call call) {
  switch (input.type) {
    case CountType::kInt32:
      return call(int32_t{});
    case CountType::kInt64:
      return call(int64_t{});
    case CountType::kFloat32:
      break;
  }
  return call(float{});
}

}  // namespace evenkeel::counting
