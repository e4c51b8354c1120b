#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace evenkeel::client {

struct BackoffOptions {
  std::chrono::milliseconds initial{20};
  std::chrono::milliseconds max{2000};
};

// How long to wait between attempts: `initial`, doubled each time up to `max`, and of that a random part between a half
// and all, so that workers which lost their coordinator together do not come back together. Not thread-safe.
class Backoff {
 public:
  // The same seed gives the same waits. Requires 0 < initial <= max.
  Backoff(const BackoffOptions& options, uint64_t seed);

  // The wait before the next attempt.
  std::chrono::nanoseconds Next();

 private:
  const std::chrono::nanoseconds max_;
  std::chrono::nanoseconds ceiling_;
  std::minstd_rand random_;
};

}  // namespace evenkeel::client
