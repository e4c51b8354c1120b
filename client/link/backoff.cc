#include "client/link/backoff.h"

#include <algorithm>

namespace evenkeel::client {

Backoff::Backoff(const BackoffOptions& options, uint64_t seed)
    : max_(options.max),
      ceiling_(options.initial),
      random_(static_cast<std::minstd_rand::result_type>(seed ^ (seed >> 32))) {}

std::chrono::nanoseconds Backoff::Next() {
  const std::chrono::nanoseconds ceiling = ceiling_;
  ceiling_ = std::min(2 * ceiling_, max_);
  std::uniform_int_distribution<int64_t> wait(ceiling.count() / 2, ceiling.count());
  return std::chrono::nanoseconds(wait(random_));
}

}  // namespace evenkeel::client
