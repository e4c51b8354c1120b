#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace evenkeel::core::simulation {

// Simulated time. Events run one at a time, by their times, and those of one time in the order in which they were made.
class EventLoop {
 public:
  using Event = std::function<void()>;

  // Milliseconds since the history began.
  int64_t now_ms() const { return now_ms_; }

  void After(int delay_ms, Event event) { events_.emplace(std::pair(now_ms_ + delay_ms, made_++), std::move(event)); }

  bool empty() const { return events_.empty(); }

  // Runs the next event, of which there is one.
  void RunNext() {
    const auto next = events_.extract(events_.begin());
    now_ms_ = next.key().first;
    next.mapped()();
  }

 private:
  std::map<std::pair<int64_t, uint64_t>, Event> events_;
  int64_t now_ms_ = 0;
  uint64_t made_ = 0;
};

}  // namespace evenkeel::core::simulation
