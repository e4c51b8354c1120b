#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace evenkeel::client {

// How who asks again and again, where nobody tells, passes the time: at first next to none, and then a little more from
// question to question. So it leaves the processor to others, and adds an eighth at most to what it waits for, or half
// a millisecond.
class Polling {
 public:
  void Pause() {
    std::this_thread::sleep_for(next_);
    next_ = std::min(next_ + next_ / 8, std::chrono::nanoseconds(std::chrono::microseconds(500)));
  }

 private:
  std::chrono::nanoseconds next_ = std::chrono::microseconds(5);
};

}  // namespace evenkeel::client
