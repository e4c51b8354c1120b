#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/counting/count.h"
#include "kernels/counting/cuda/add_counts.h"
#include "kernels/counting/cuda/count_ids.h"
#include "kernels/emulated_block.h"

// The contract of count.h by the text of the device, on the host: emulated blocks of kThreads threads, whose order
// depends on the seed. For tests. Answers what ValidateCount answers.
namespace evenkeel::counting {

// A grid of so many blocks, one after the other.
template <int kThreads>
absl::Status EmulatedCountIds(const IdsInput& input, const CountOutput& output, int blocks, uint64_t seed) {
  if (absl::Status status = ValidateCount(input, output); !status.ok()) return status;
  CallForIds(input, [&](auto slots, auto id) {
    for (int index = 0; index < blocks; ++index) {
      ShuffledBlock<kThreads, CountMemory> block(seed + index);
      CountIdsInBlock<decltype(slots)::value, decltype(id)>(block, input, output, {index, blocks});
    }
  });
  return absl::OkStatus();
}

template <int kThreads>
absl::Status EmulatedAddCounts(const CountsInput& input, const CountOutput& output, uint64_t seed) {
  if (absl::Status status = ValidateCount(input, output); !status.ok()) return status;
  CallForCounts(input, [&](auto count) {
    ShuffledBlock<kThreads, SumMemory<kThreads>> block(seed);
    AddCountsInBlock<decltype(count)>(block, input, output);
  });
  return absl::OkStatus();
}

}  // namespace evenkeel::counting
