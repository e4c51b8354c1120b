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

// What one rank, or a group of ranks, counted in one step, at all layers of the job in protocol order; 0 at layers that
// the rank does not own. What is added up over ranks is one array: one reduction does.
class StepCounts {
 public:
  // Of one layer.
  struct Totals {
    uint64_t tokens = 0;       // valid ones
    uint64_t short_slots = 0;  // slots of theirs that no candidate could fill
    uint64_t refused = 0;      // rows that a device could not count: not 0 when the trainer's ids are wrong
  };

  static size_t NumSums(int total_experts, int layers) { return total_experts + 3 * static_cast<size_t>(layers) + 1; }

  // In memory of its own.
  StepCounts(int total_experts, int layers)
      : own_(NumSums(total_experts, layers)), total_experts_(total_experts), layers_(layers), sums_(own_.data()) {}
  // In `sums`, [NumSums], of somebody else's.
  StepCounts(int total_experts, int layers, uint64_t* sums)
      : total_experts_(total_experts), layers_(layers), sums_(sums) {}
  virtual ~StepCounts() = default;
  StepCounts(const StepCounts&) = delete;

  // Waits until the numbers are here, where they come from a device: first of all by whoever reads them. An error means
  // that they never will be.
  virtual absl::Status Arrive() { return absl::OkStatus(); }

  uint64_t step = 0;

  // Everything below.
  absl::Span<uint64_t> sums() { return absl::MakeSpan(sums_, NumSums(total_experts_, layers_)); }

  // [total experts]: assignments.
  absl::Span<const uint64_t> counts() const { return absl::MakeConstSpan(sums_, total_experts_); }
  absl::Span<uint64_t> mutable_counts() { return absl::MakeSpan(sums_, total_experts_); }

  // [layers].
  absl::Span<const Totals> totals() const {
    return absl::MakeConstSpan(reinterpret_cast<const Totals*>(sums_ + total_experts_), layers_);
  }
  absl::Span<Totals> mutable_totals() {
    return absl::MakeSpan(reinterpret_cast<Totals*>(sums_ + total_experts_), layers_);
  }

  // Ranks whose optimizer step was not taken.
  uint64_t skips() const { return sums_[total_experts_ + 3 * layers_]; }
  void set_skips(uint64_t skips) { sums_[total_experts_ + 3 * layers_] = skips; }

 private:
  std::vector<uint64_t> own_;
  const int total_experts_;
  const int layers_;
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
