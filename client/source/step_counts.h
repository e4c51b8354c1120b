#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// What one rank, or a group of ranks, counted in one step, at all layers in protocol order. What is added up over ranks
// is one array: one reduction does.
class StepCounts {
 public:
  StepCounts(int total_experts, int layers)
      : total_experts_(total_experts), layers_(layers), sums_(total_experts + 2 * layers + 1) {}

  uint64_t step = 0;
  v1::Version routed_with;  // the version whose bias routed the tokens: the same on all ranks of a group

  // Everything below.
  absl::Span<uint64_t> sums() { return absl::MakeSpan(sums_); }

  // [total experts]: assignments.
  absl::Span<const uint64_t> counts() const { return Part(0, total_experts_); }
  uint64_t* mutable_counts() { return sums_.data(); }

  // [layers]: valid tokens, and their slots that no candidate could fill.
  absl::Span<const uint64_t> tokens() const { return Part(total_experts_, layers_); }
  uint64_t* mutable_tokens() { return sums_.data() + total_experts_; }
  absl::Span<const uint64_t> short_slots() const { return Part(total_experts_ + layers_, layers_); }
  uint64_t* mutable_short_slots() { return sums_.data() + total_experts_ + layers_; }

  // Ranks whose optimizer step was not taken.
  uint64_t skips() const { return sums_.back(); }
  void set_skips(uint64_t skips) { sums_.back() = skips; }

 private:
  absl::Span<const uint64_t> Part(int first, int size) const { return absl::MakeConstSpan(sums_).subspan(first, size); }

  const int total_experts_;
  const int layers_;
  std::vector<uint64_t> sums_;
};

}  // namespace evenkeel::client
