#pragma once

#include <algorithm>

#include "kernels/ieee.h"

// The order in which this library adds: a tree over blocks of 32 lanes, then a tree over the lanes. It is an order that
// a GPU warp has in its registers and shuffles, and SIMD registers of any width up to 32 floats in theirs; and as no
// addend takes part in more than log2(size) + 1 additions, a sum of n positive floats is good to log2(n) + 2 half ulps.
namespace evenkeel::routing {

inline constexpr int kLanes = 32;

// The sum of the lanes: for d = 16, 8, 4, 2, 1, lane[l] += lane[l + d] for every l < d. Overwrites the lanes.
EVENKEEL_HD_INLINE float LaneTree(float* lanes) {
  for (int d = kLanes / 2; d > 0; d /= 2) {
    for (int l = 0; l < d; ++l) lanes[l] = ieee::Add(lanes[l], lanes[l + d]);
  }
  return lanes[0];
}

// Half of the least power of two that is not less than `blocks`: where the tree over so many blocks begins; 0 for one.
EVENKEEL_HD_INLINE int FirstBlockDistance(int blocks) {
  int distance = 0;
  while (blocks > 1 && distance * 2 < blocks) distance = distance == 0 ? 1 : distance * 2;
  return distance;
}

namespace lane_sum_internal {

// Lanes of the sum of blocks first, first + step, first + 2 step, ... of values[0 .. size - 1].
inline void SumBlocks(const float* values, int size, int first, int step, float* lanes) {
  const int blocks = (size + kLanes - 1) / kLanes;
  if (first + step >= blocks) {
    const int begin = first * kLanes;
    for (int l = 0; l < kLanes; ++l) lanes[l] = begin + l < size ? values[begin + l] : 0.0f;
    return;
  }
  float others[kLanes];
  SumBlocks(values, size, first, 2 * step, lanes);
  SumBlocks(values, size, first + step, 2 * step, others);
  for (int l = 0; l < kLanes; ++l) lanes[l] = ieee::Add(lanes[l], others[l]);
}

}  // namespace lane_sum_internal

// The sum of values[0 .. size - 1]. Value i is lane i % 32 of block i / 32; the last block is filled up with +0. For
// d = FirstBlockDistance(blocks) and its halves down to 1, every lane of block b has that of block b + d added to it,
// for every b < d that has a block b + d; LaneTree adds the lanes of block 0. For a softmax over all experts the index
// is the expert, for a sum over the chosen ones it is the slot. The sum of nothing is 0.
inline float LaneSum(const float* values, int size) {
  float lanes[kLanes];
  lane_sum_internal::SumBlocks(values, size, 0, 1, lanes);
  return LaneTree(lanes);
}

}  // namespace evenkeel::routing
