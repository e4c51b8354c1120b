#pragma once

#include <cstdint>
#include <vector>

#include "client/source/step_counts.h"
#include "evenkeel/v1/job.pb.h"

namespace evenkeel::client {

// Steps that wait to be delivered to a coordinator, in their order: `capacity` of them with their counts. Beyond that
// the oldest lose theirs; what is left of them is that they were, so that their place in the order can be told.
// Allocates only when it holds more steps than ever before. Not thread-safe.
class PushLog {
 public:
  struct Step {
    uint64_t step = 0;
    v1::Version routed_with;
    // routed_with was moved on by this process, step by step.
    bool provisional = false;
    // BiasChecksum of the bias that its ranks were given to route it with.
    uint64_t bias_checksum = 0;
    // Of a step whose counts are lost: whether it was taken by all whose counts they were, and replayed by any.
    bool ok = true;
    bool replayed = false;
    // Null when they are lost.
    StepCountsPtr counts;
  };

  // `capacity` is at least 2: the step that is being delivered, and the newest. These two never lose their counts.
  explicit PushLog(size_t capacity);

  // True when an older step lost its counts for it.
  bool Append(Step step);

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  // Steps that lost their counts, so far.
  uint64_t lost() const { return lost_; }

  // The oldest and the newest: until the log is changed.
  Step& front() { return At(0); }
  Step& back() { return At(size_ - 1); }
  // The counts of `step`, or null: it is not in the log, or has lost them. Steps follow each other without a gap.
  StepCounts* Find(uint64_t step);
  void PopFront();

 private:
  Step& At(size_t place) { return ring_[(first_ + place) % ring_.size()]; }
  void Grow();
  static void Lose(Step* step);

  const size_t capacity_;
  std::vector<Step> ring_;
  size_t first_ = 0;  // of ring_
  size_t size_ = 0;
  size_t kept_ = 0;  // steps with counts
  // Place of the oldest step with counts, apart from the front: at least 1, and size_ or more when there is none.
  size_t oldest_kept_ = 1;
  uint64_t lost_ = 0;
};

}  // namespace evenkeel::client
