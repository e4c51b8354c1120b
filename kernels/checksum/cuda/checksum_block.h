#pragma once

#include <cstdint>

#include "kernels/atomic.h"
#include "kernels/checksum/checksum_term.h"
#include "kernels/ieee.h"

// The checksum by blocks of threads, in one text for the device and for emulated blocks.
namespace evenkeel::checksum {

template <int kThreads>
struct PartialSums {
  uint64_t parts[kThreads];
};

// What block `index` of `blocks` does: adds the terms of its words, and the first the start, to *sum. Block::kThreads
// is a power of two.
template <typename Block>
EVENKEEL_HD_INLINE void ChecksumInBlock(Block& block, const Word* words, int64_t num_words, uint64_t start,
                                        uint64_t* sum, int64_t index, int64_t blocks) {
  uint64_t* const parts = block.memory().parts;
  block.Phase([&](int thread) {
    uint64_t own = 0;
    for (int64_t i = index * Block::kThreads + thread; i < num_words; i += blocks * Block::kThreads) {
      own += Term(words[i], i);
    }
    parts[thread] = own;
  });
  for (int half = Block::kThreads / 2; half > 0; half /= 2) {
    block.Phase([&](int thread) {
      if (thread < half) parts[thread] += parts[thread + half];
    });
  }
  block.Phase([&](int thread) {
    if (thread == 0) AtomicAdd64(sum, index == 0 ? parts[0] + start : parts[0]);
  });
}

}  // namespace evenkeel::checksum
