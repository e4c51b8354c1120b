#include "tests/benchmarks/memory_bandwidth.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "absl/functional/function_ref.h"

namespace evenkeel::benchmarks {
namespace {

constexpr int kRounds = 5;

double BestSeconds(ThreadTeam* team, absl::FunctionRef<void(int)> job) {
  double best = 1e30;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    team->Run(job);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

uint64_t Sum(const uint64_t* words, int64_t count) {
  constexpr int kLanes = 16;
  uint64_t sums[kLanes] = {};
  for (int64_t i = 0; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t sum = 0;
  for (const uint64_t lane : sums) sum += lane;
  return sum;
}

}  // namespace

MemoryBandwidth MeasureMemoryBandwidth(ThreadTeam* team) {
  const int64_t cache = LastCacheBytes();
  const int64_t bytes_each = (cache > 0 ? 4 * cache : int64_t{256} << 20) / team->size();
  const int64_t words_each = bytes_each / sizeof(uint64_t);
  const int64_t words = words_each * team->size();
  // Not written yet: each member's pages are its own to touch first.
  const std::unique_ptr<uint64_t[]> from(new uint64_t[words]);
  const std::unique_ptr<uint64_t[]> to(new uint64_t[words]);
  team->Run([&](int member) {
    std::fill_n(&from[member * words_each], words_each, member);
    std::fill_n(&to[member * words_each], words_each, 0);
  });

  const double bytes = static_cast<double>(words) * sizeof(uint64_t);
  MemoryBandwidth bandwidth;
  bandwidth.read = bytes / BestSeconds(team, [&](int member) {
                     // Kept, or it would not be computed.
                     volatile uint64_t sum = Sum(&from[member * words_each], words_each);
                     static_cast<void>(sum);
                   });
  bandwidth.copy = 2 * bytes / BestSeconds(team, [&](int member) {
                     std::memcpy(&to[member * words_each], &from[member * words_each], words_each * sizeof(uint64_t));
                   });
  return bandwidth;
}

int64_t LastCacheBytes() {
  for (const int level : {_SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE}) {
    const long bytes = sysconf(level);
    if (bytes > 0) return bytes;
  }
  return 0;
}

}  // namespace evenkeel::benchmarks
