#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/routing/lane_sum.h"
#include "kernels/routing/route_spec.h"

// Where the SIMD routers keep what they are working on: on the caller's stack, 128 KiB of it.
namespace evenkeel::routing {

// The shapes of every model we know of; beyond them the reference routes.
inline constexpr int kMaxSimdExperts = 1024;
inline constexpr int kMaxSimdSlots = 32;

inline bool FitsSimd(const RouteSpec& spec) {
  return spec.num_experts <= kMaxSimdExperts && spec.top_k <= kMaxSimdSlots;
}

// Rows are worked on in whole blocks of kLanes experts.
constexpr int Padded(int num_experts) { return (num_experts + kLanes - 1) / kLanes * kLanes; }

// The segments of a row whose experts compete for its slots: `count` of them, `size` experts each.
struct Segments {
  int count;
  int size;
};

// One row on its way from logits to weights. Arrays of experts have Padded(num_experts) values, and room for a register
// more, since the last register of a group may reach beyond the row; behind the last expert nothing is a candidate.
struct RowWorkspace {
  int64_t index;        // of the row in the batch
  const float* logits;  // in the caller's memory, or `widened`
  float* widened;
  float* scores;        // unbiased, scaled with scale_before_bias
  float* exponentials;  // e^(logit - row maximum), and their sum: NaN where the row's softmax is
  float exponential_sum;
  float* keys;           // biased scores; minus infinity for what is no candidate
  float* group_best;     // of each group's candidates; minus infinity where there is none
  float* group_second;   // the second best; or the sum, where it has more than two terms
  int32_t* group_order;  // the groups' scores as ordered integers
  int32_t* segments;     // first experts of the segments that compete
  Segments competing;
  float* candidate_keys;   // of the experts that reach the threshold, by ascending id
  int32_t* candidate_ids;  // likewise
  int candidates;          // how many
  int32_t* ids;            // the first top_k count; what is behind them is scratch
  float* weights;          // [kMaxSimdSlots]
};

// Room for a few rows of a spec that FitsSimd. Several rows take each step together, so that one waits for memory or
// for a long instruction while the others go on.
class BlockWorkspace {
 public:
  static constexpr int kMaxRows = 8;

  // Not initialised: 128 KiB that are mostly left alone.
  explicit BlockWorkspace(const RouteSpec& spec);
  BlockWorkspace(const BlockWorkspace&) = delete;
  BlockWorkspace& operator=(const BlockWorkspace&) = delete;

  int rows() const { return rows_; }
  RowWorkspace& row(int r) { return row_[r]; }
  float* bias() { return bias_; }  // [Padded(num_experts)]; minus infinity behind the last expert

 private:
  static constexpr int kFloats = 24 * 1024;
  static constexpr int kIntegers = 8 * 1024;

  float* TakeFloats(int count);
  int32_t* TakeIntegers(int count);

  int rows_ = 0;
  RowWorkspace row_[kMaxRows];
  float* bias_;
  int floats_taken_ = 0;
  int integers_taken_ = 0;
  alignas(64) float floats_[kFloats];
  alignas(64) int32_t integers_[kIntegers];
};

}  // namespace evenkeel::routing
