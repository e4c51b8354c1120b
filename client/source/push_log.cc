#include "client/source/push_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace evenkeel::client {

PushLog::PushLog(size_t capacity) : capacity_(capacity), ring_(4) { EVENKEEL_CHECK(capacity >= 2); }

bool PushLog::Append(Step step) {
  const bool full = kept_ == capacity_;
  if (full) {
    Lose(&At(oldest_kept_++));
    --kept_;
    ++lost_;
  }
  if (size_ == ring_.size()) Grow();
  ++size_;
  ++kept_;
  back() = std::move(step);
  return full;
}

void PushLog::Lose(Step* step) {
  // It is older than one that is on its way: its counts have arrived, or never will.
  const bool arrived = step->counts->Arrive().ok();
  step->ok = arrived && step->counts->skips() == 0;
  step->replayed = arrived && step->counts->replays() > 0;
  step->counts.reset();
}

StepCounts* PushLog::Find(uint64_t step) {
  if (empty() || step < front().step || step > back().step) return nullptr;
  return At(step - front().step).counts.get();
}

void PushLog::PopFront() {
  kept_ -= front().counts != nullptr;
  front() = Step();
  first_ = (first_ + 1) % ring_.size();
  --size_;
  // What is the front now is being delivered.
  oldest_kept_ = std::max<size_t>(oldest_kept_ - 1, 1);
}

void PushLog::Grow() {
  std::vector<Step> larger(2 * ring_.size());
  for (size_t i = 0; i < size_; ++i) larger[i] = std::move(At(i));
  ring_ = std::move(larger);
  first_ = 0;
}

}  // namespace evenkeel::client
