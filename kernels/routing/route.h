#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "kernels/routing/route_spec.h"

// The contract of every router: what goes in, what comes out, and what is promised. Reference, SIMD and GPU routers
// write the same ids, weights, counts and dense outputs, bit for bit.
//
// Notation: T rows (tokens), E experts, K = top_k slots per row. A row of a matrix begins `stride` ELEMENTS after
// the one before it; stride >= the row's length, and rows may lie more than 2^31 elements apart. Routers own none of
// the memory, write nothing between the rows of an output, and need inputs and outputs not to overlap.
//
// SELECTION. Scores and biased scores (score + bias) are float32, by arithmetic.h. An expert is a candidate when
// both are finite; in a row whose softmax is needed and comes out NaN (a NaN in the row, or a maximum that is not
// finite) no expert is. Biased scores are compared as floats (-0 equals +0). The K best candidates take the slots,
// sorted by (biased score descending, id ascending); of equal groups the lowest wins, of equal experts the lowest
// id. The ids of a row are distinct. Slots without a candidate come last, with id -1 and weight 0: they are SHORT.
//
// WEIGHTS. Gathered from unbiased values, as the spec says: given its ids, a row's weights do not depend on the
// bias. A gathered value that is not finite counts as 0: that of an expert which only replay or forced balance can
// choose, or a softmax over chosen logits of which one is +infinity. Where a normaliser is 0 or not finite the
// weights of the row are 0; ids stay and are counted. What the scale carries beyond a float's range is infinite.
//
// COUNTS. counts[e] grows by one for every slot with id e. sum(counts) grows by K * valid_rows - short_slots. A row
// that valid_mask leaves out has id -1 and weight 0 in every slot, or is not written at all (keep_masked_rows); it is
// not counted and not short.
//
// A row gives the same bits at any T, any stride and any place in the batch (forced balance apart, which is made of
// the row's number). NaN and infinite logits or biases are data, not bad input.
//
// The floating-point environment is the default one: round to nearest, subnormals neither flushed on input nor on
// output (FTZ and DAZ off).
namespace evenkeel::routing {

enum class DType { kF32, kBF16, kF16 };
enum class IdType { kInt32, kInt64 };

// Benchmarks choose the experts without looking at the logits; see forced_balance.h. Weights, mask and counts are as
// ever.
struct ForcedBalance {
  enum class Mode { kNone, kRoundRobin, kRandom };
  Mode mode = Mode::kNone;
  std::optional<uint64_t> seed;  // kRandom needs one; the same seed gives the same ids
};

struct RouteInput {
  const void* logits = nullptr;  // [T, E] of logits_dtype; may be null when T is 0
  DType logits_dtype = DType::kF32;
  int64_t rows = 0;  // T >= 0
  int64_t logits_stride = 0;
  const float* bias = nullptr;          // [E]; null means 0
  const uint8_t* valid_mask = nullptr;  // [T], nonzero = route and count this row; null means all
  // Replay: the ids are given, and weights and counts are made from them; bias and groups are not read. Ids keep
  // their slots. A slot whose id is out of [0, E), or was in an earlier slot of its row, is short.
  const int32_t* replay_ids = nullptr;  // [T, K]; null means none. Not together with forced balance.
  int64_t replay_stride = 0;
  ForcedBalance forced;
};

// A null pointer means "not wanted". What is wanted is written wholly, short slots too, and masked rows unless they are
// to be kept; counts alone are added to.
struct RouteOutput {
  void* ids = nullptr;  // [T, K] of id_type
  IdType id_type = IdType::kInt32;
  int64_t ids_stride = 0;
  void* weights = nullptr;            // [T, K] of weights_dtype
  DType weights_dtype = DType::kF32;  // kF32 or the logits' type, rounded to nearest even
  int64_t weights_stride = 0;
  float* dense_probabilities = nullptr;  // [T, E]: the float32 weight of a chosen expert, 0 elsewhere
  int64_t dense_probabilities_stride = 0;
  uint8_t* dense_map = nullptr;  // [T, E]: 1 for a chosen expert, 0 elsewhere
  int64_t dense_map_stride = 0;
  uint64_t* counts = nullptr;  // [E], ADDED to, not atomically; null routes without counting
  // Rows that valid_mask leaves out are not written: their ids, weights and dense rows stay what they are. So rows of
  // several kinds, each with a bias and counts of its own, are routed into the same arrays, a call for each kind.
  bool keep_masked_rows = false;
};

// Added to, as counts are, so that sum(counts) = K * valid_rows - short_slots holds over many calls.
struct RouteStats {
  int64_t valid_rows = 0;   // rows that valid_mask did not leave out
  int64_t short_slots = 0;  // short slots in those rows
};

// OK, or INVALID_ARGUMENT naming the field and its value: what Validate(spec) refuses; rows < 0; no logits for
// rows > 0; a stride below its row's length; an unknown enum value; weights_dtype neither kF32 nor the logits';
// random balance without a seed; replay together with forced balance. A router that refuses its arguments has
// written nothing.
absl::Status ValidateRoute(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output);

}  // namespace evenkeel::routing
