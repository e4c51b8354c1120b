#pragma once

#include <chrono>
#include <cstdint>

namespace evenkeel::security {

// Allows `rate` units a second, and as many at once as `burst` seconds add up to. Full at the beginning. Of one thread;
// time is an argument, and only growing.
class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `rate` is at least 1.
  TokenBucket(int64_t rate, std::chrono::seconds burst) : rate_(rate), capacity_(rate * burst.count()) {}

  // Takes `amount` and answers 0; or takes nothing, and says after how many milliseconds, at least 1, there is as much;
  // or -1, where there never is.
  int64_t Take(int64_t amount, Time now);
  // Puts back what the last Take took.
  void GiveBack(int64_t amount);

 private:
  void Fill(Time now);

  const int64_t rate_;
  const int64_t capacity_;
  // In the bucket, in millionths of a unit, as far as it has been filled up.
  __int128 level_ = static_cast<__int128>(capacity_) * 1'000'000;
  Time filled_at_ = Time::min();
};

}  // namespace evenkeel::security
