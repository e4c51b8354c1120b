#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "server/core/simulation/event_loop.h"

namespace evenkeel::core::simulation {

// The clock that the coordinator reads. It never goes back, but may jump ahead of time, or stand still and stay behind.
class Clock {
 public:
  // `loop` outlives the clock.
  explicit Clock(const EventLoop* loop) : loop_(loop) {}

  absl::Time now() const { return absl::UnixEpoch() + absl::Milliseconds(now_ms()); }

  void Jump(int64_t ms) { offset_ms_ += ms; }

  // For so long, from now on.
  void Stand(int64_t ms) {
    const int64_t now = now_ms();
    stands_until_ms_ = std::max(stands_until_ms_, loop_->now_ms() + ms);
    offset_ms_ = now - stands_until_ms_;
  }

 private:
  // While the clock stands, as it will be when it goes on.
  int64_t now_ms() const { return offset_ms_ + std::max(loop_->now_ms(), stands_until_ms_); }

  const EventLoop* const loop_;
  int64_t offset_ms_ = 0;
  int64_t stands_until_ms_ = 0;
};

}  // namespace evenkeel::core::simulation
