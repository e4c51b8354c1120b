#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "evenkeel/options.h"

namespace evenkeel::client {

// What one row, a stream of a layer, counted in one step on this worker, summed over its micro-batches:
//   sum(counts) = top_k * tokens - short_slots  <=  balance::kMaxCountSum (2^48)
// Errors are INVALID_ARGUMENT, name the value, and have counted nothing. Not thread-safe.
class LayerCounts {
 public:
  LayerCounts(int num_experts, int top_k);

  // Refuses a row with an id outside -1 .. num_experts - 1, or with one that it holds twice. Checks count nothing.
  absl::Status AddIds(const Ids& ids);
  absl::Status CheckIds(const Ids& ids);

  // Sums made elsewhere: counts [num_experts].
  absl::Status AddCounts(const uint64_t* counts, uint64_t tokens, uint64_t short_slots);
  absl::Status CheckCounts(const uint64_t* counts, uint64_t tokens, uint64_t short_slots) const;

  // Likewise, of which only the counts are told: tokens and short slots stay.
  absl::Status AddSums(const uint64_t* counts);
  absl::Status CheckSums(const uint64_t* counts) const;

  // For a router, which adds to counts() by itself: first asks whether that many tokens more can be counted, and
  // afterwards says how many it counted.
  absl::Status CheckRoom(uint64_t tokens) const;
  uint64_t* mutable_counts() { return counts_.data(); }
  void AddRouted(uint64_t tokens, uint64_t short_slots);

  void Clear();

  absl::Span<const uint64_t> counts() const { return counts_; }
  uint64_t tokens() const { return tokens_; }
  uint64_t short_slots() const { return short_slots_; }

 private:
  int64_t StrideOf(const Ids& ids) const { return ids.ids_stride == 0 ? top_k_ : ids.ids_stride; }
  template <typename Id>
  void AddRows(const Id* ids, const Ids& given);
  template <typename Id>
  absl::Status CheckRows(const Id* ids, const Ids& given);
  template <typename Id>
  absl::Status CheckRow(const Id* ids, int64_t row);

  int top_k_;
  std::vector<uint64_t> counts_;
  uint64_t tokens_ = 0;
  uint64_t short_slots_ = 0;
  // The last row that held each expert, by a number that no two rows share.
  std::vector<uint64_t> seen_in_;
  uint64_t row_number_ = 0;
};

}  // namespace evenkeel::client
