#pragma once

#include <cstdint>

#include "evenkeel/v1/bias_coordinator.pb.h"

// Sums over `size` counts from index `first` on, within a message's. Each push of a step passes through them: loops
// over plain words, without a branch on the high ones.
namespace evenkeel::core {

unsigned __int128 SumOfCounts(const v1::Counts& counts, int first, int size);

// Adds each count to its place in `sums`, uint64 [size]; modulo 2^64.
void AddCounts(const v1::Counts& counts, int first, int size, uint64_t* sums);
void SubtractCounts(const v1::Counts& counts, int first, int size, uint64_t* sums);

}  // namespace evenkeel::core
