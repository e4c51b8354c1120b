#pragma once

#include <cstdint>

#include "tests/benchmarks/thread_team.h"

namespace evenkeel::benchmarks {

// What the memory of this machine gives to a team that does nothing but read, or copy, more than any cache holds.
struct MemoryBandwidth {
  double read = 0;  // bytes per second
  double copy = 0;  // bytes read and bytes written per second, taken together
};

// The best of a few rounds. Takes a second at most, and memory of 8 times the last cache.
MemoryBandwidth MeasureMemoryBandwidth(ThreadTeam* team);

// Bytes of the largest cache; 0 if the system does not tell.
int64_t LastCacheBytes();

}  // namespace evenkeel::benchmarks
