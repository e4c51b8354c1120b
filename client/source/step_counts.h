#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/mutex.h"

namespace evenkeel::client {

// How many numbers a step has.
struct StepShape {
  int experts = 0;     // of all rows: layers, and each of their streams
  int rows = 0;        // in protocol order
  int dispatched = 0;  // experts of those rows whose layers count what a capacity limit left
  int ranks = 1;       // of the group that adds up

  size_t TotalsAt() const { return experts; }
  size_t DispatchedAt() const { return TotalsAt() + 3 * static_cast<size_t>(rows); }
  size_t SkipsAt() const { return DispatchedAt() + dispatched; }
  size_t ReplaysAt() const { return SkipsAt() + 1; }
  size_t ChecksAt() const { return ReplaysAt() + 1; }
  size_t Sums() const { return ChecksAt() + 2 * static_cast<size_t>(ranks); }
};

// What one rank, or a group of ranks, counted in one step, at all layers of the job in protocol order; 0 at layers that
// the rank does not own. What is added up over ranks is one array: one reduction does.
class StepCounts {
 public:
  // Of one row.
  struct Totals {
    uint64_t tokens = 0;       // valid ones
    uint64_t short_slots = 0;  // slots of theirs that no candidate could fill
    uint64_t refused = 0;      // rows that a device could not count: not 0 when the trainer's ids are wrong
  };
  // Of one rank, written by itself alone: so the sum over ranks has every rank's.
  struct RankCheck {
    uint64_t counts = 0;  // a fingerprint of all that it counted; 0 where that is nothing, or nobody looked
    uint64_t bias = 0;    // a checksum of the bias that it routed with; 0 where nobody looked
  };

  // In memory of its own.
  explicit StepCounts(const StepShape& shape) : own_(shape.Sums()), shape_(shape), sums_(own_.data()) {}
  // In `sums`, [shape.Sums()], of somebody else's.
  StepCounts(const StepShape& shape, uint64_t* sums) : shape_(shape), sums_(sums) {}
  virtual ~StepCounts() = default;
  StepCounts(const StepCounts&) = delete;

  // Waits until the numbers are here, where they come from a device: first of all by whoever reads them. An error means
  // that they never will be.
  virtual absl::Status Arrive() { return absl::OkStatus(); }

  uint64_t step = 0;

  const StepShape& shape() const { return shape_; }

  // Everything below.
  absl::Span<uint64_t> sums() { return absl::MakeSpan(sums_, shape_.Sums()); }

  // [experts]: assignments.
  absl::Span<const uint64_t> counts() const { return absl::MakeConstSpan(sums_, shape_.experts); }
  absl::Span<uint64_t> mutable_counts() { return absl::MakeSpan(sums_, shape_.experts); }

  // [rows].
  absl::Span<const Totals> totals() const {
    return absl::MakeConstSpan(reinterpret_cast<const Totals*>(sums_ + shape_.TotalsAt()), shape_.rows);
  }
  absl::Span<Totals> mutable_totals() {
    return absl::MakeSpan(reinterpret_cast<Totals*>(sums_ + shape_.TotalsAt()), shape_.rows);
  }

  // [dispatched]: of the assignments, what a capacity limit left.
  absl::Span<const uint64_t> dispatched() const {
    return absl::MakeConstSpan(sums_ + shape_.DispatchedAt(), shape_.dispatched);
  }
  absl::Span<uint64_t> mutable_dispatched() { return absl::MakeSpan(sums_ + shape_.DispatchedAt(), shape_.dispatched); }

  // Ranks whose optimizer step was not taken; and ranks whose tokens were routed elsewhere.
  uint64_t skips() const { return sums_[shape_.SkipsAt()]; }
  void set_skips(uint64_t skips) { sums_[shape_.SkipsAt()] = skips; }
  uint64_t replays() const { return sums_[shape_.ReplaysAt()]; }
  void set_replays(uint64_t replays) { sums_[shape_.ReplaysAt()] = replays; }

  // [ranks], in the group's order.
  absl::Span<const RankCheck> checks() const {
    return absl::MakeConstSpan(reinterpret_cast<const RankCheck*>(sums_ + shape_.ChecksAt()), shape_.ranks);
  }
  absl::Span<RankCheck> mutable_checks() {
    return absl::MakeSpan(reinterpret_cast<RankCheck*>(sums_ + shape_.ChecksAt()), shape_.ranks);
  }

 private:
  std::vector<uint64_t> own_;
  const StepShape shape_;
  uint64_t* const sums_;
};

// Buffers for the counts of steps, which go round: whoever has taken one gives it back by letting it go. Grows only
// while steps wait to be delivered. Thread-safe; outlives what is taken from it.
class StepCountsPool {
 public:
  struct Return {
    StepCountsPool* pool = nullptr;
    void operator()(StepCounts* counts) const { pool->Give(counts); }
  };
  using Pointer = std::unique_ptr<StepCounts, Return>;

  // `make` gives a new buffer, or null where there is no memory.
  explicit StepCountsPool(std::function<std::unique_ptr<StepCounts>()> make) : make_(std::move(make)) {}

  // With whatever is in it, or null.
  Pointer Take() {
    std::unique_ptr<StepCounts> counts;
    {
      MutexLock lock(&mutex_);
      if (!free_.empty()) {
        counts = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (counts == nullptr) counts = make_();
    return Pointer(counts.release(), Return{this});
  }

 private:
  void Give(StepCounts* counts) {
    MutexLock lock(&mutex_);
    free_.emplace_back(counts);
  }

  const std::function<std::unique_ptr<StepCounts>()> make_;
  Mutex mutex_;
  std::vector<std::unique_ptr<StepCounts>> free_ ABSL_GUARDED_BY(mutex_);
};

using StepCountsPtr = StepCountsPool::Pointer;

}  // namespace evenkeel::client
