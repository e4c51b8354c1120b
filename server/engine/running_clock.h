#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "absl/time/time.h"

namespace evenkeel::engine {

// Time as this process has lived it, from some beginning on. While it stands still (it is stopped, starved, or waits
// for its disk), nobody can reach it, and nobody is to be blamed for that: of a pause between two looks at the clock,
// at most kLongestPause passes. What the system's clock is set to has no say. Not thread-safe; to be looked at more
// often than that.
class RunningClock {
 public:
  static constexpr absl::Duration kLongestPause = absl::Seconds(1);

  using Steady = std::function<std::chrono::steady_clock::time_point()>;
  explicit RunningClock(Steady steady = std::chrono::steady_clock::now)
      : steady_(std::move(steady)), last_look_(steady_()) {}

  absl::Time Now() {
    const auto look = steady_();
    now_ += std::min(absl::FromChrono(look - last_look_), kLongestPause);
    last_look_ = look;
    return now_;
  }

 private:
  const Steady steady_;
  std::chrono::steady_clock::time_point last_look_;
  absl::Time now_ = absl::UnixEpoch();
};

}  // namespace evenkeel::engine
