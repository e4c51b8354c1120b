#pragma once

#include "kernels/ieee.h"

// The order in which this library adds: 32 lanes, then a tree. It is the order of a GPU warp, and of SIMD registers
// of any width up to 32 floats.
namespace evenkeel::routing {

inline constexpr int kLanes = 32;

// The sum of the lanes: for d = 16, 8, 4, 2, 1, lane[l] += lane[l + d] for every l < d. Overwrites the lanes.
EVENKEEL_HD_INLINE float LaneTree(float* lanes) {
  for (int d = kLanes / 2; d > 0; d /= 2) {
    for (int l = 0; l < d; ++l) lanes[l] = ieee::Add(lanes[l], lanes[l + d]);
  }
  return lanes[0];
}

// The sum of values[0 .. size - 1]: lanes begin at +0, value i is added to lane i % 32 in the order of i, and LaneTree
// ends it. Zeros at the end change nothing, so a row may be padded with them. For a softmax over all experts the
// index is the expert, for a sum over the chosen ones it is the slot.
EVENKEEL_HD_INLINE float LaneSum(const float* values, int size) {
  float lanes[kLanes] = {};
  for (int i = 0; i < size; ++i) lanes[i % kLanes] = ieee::Add(lanes[i % kLanes], values[i]);
  return LaneTree(lanes);
}

}  // namespace evenkeel::routing
