#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace evenkeel::history {

// Counts of each expert of a job, in the job's flat order: those of all steps together, and those of the newest steps,
// kSteps less at most 7. Holds nine numbers of eight bytes for each expert. Not thread-safe.
class CountWindow {
 public:
  static constexpr uint64_t kSteps = 64;

  explicit CountWindow(int experts);

  // Begins a step, of which nothing is counted yet.
  void BeginStep();
  // Counts of the experts from `offset` on, in the newest step.
  void Add(int offset, absl::Span<const uint64_t> counts);

  // Of all steps.
  const std::vector<uint64_t>& totals() const { return totals_; }
  // How many steps the window has: all of them, up to kSteps; then kSteps - 7 to kSteps.
  uint64_t steps() const { return steps_ - BaseBlock() * kBlock; }
  // Of exactly so many steps.
  std::vector<uint64_t> Window() const;

 private:
  // Every so many steps the totals are kept; the window is what has come since the oldest that are.
  static constexpr uint64_t kBlock = 8;
  static constexpr uint64_t kKept = kSteps / kBlock;

  // Of the oldest totals that are kept.
  uint64_t BaseBlock() const;

  uint64_t steps_ = 0;
  std::vector<uint64_t> totals_;
  // [kKept, experts], a ring: those of before the first step of each of the newest blocks.
  std::vector<uint64_t> kept_;
};

}  // namespace evenkeel::history
