#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/routing/route.h"

// Counting for trainers that route by themselves: assignments per expert from the ids that a router chose, or from
// counts that were made elsewhere. The reference and the GPU count the same.
//
// What is counted is ADDED, so that over many calls, and together with routers (route.h),
//   sum(counts) = top_k * valid_rows - short_slots
// What cannot be counted is not: it is told in `refused`, and nothing of that row, or of those sums, is added.
//
// Inputs are left as they are, and must not overlap what is added to.
namespace evenkeel::counting {

// Where it is added. Everything is needed, and is the caller's.
struct CountOutput {
  uint64_t* counts = nullptr;            // [num_experts]
  routing::RouteStats* stats = nullptr;  // [1]
  uint64_t* refused = nullptr;           // [1], rows of ids and calls of sums that were not counted
};

// The ids of a router's slots. A valid row grows valid_rows by 1, short_slots by its slots of -1, and counts by one for
// each other slot. But a valid row with an id outside -1 .. num_experts - 1, or with one of an expert that it holds
// twice, grows `refused` by 1 and nothing else. A row that valid_mask leaves out grows nothing, whatever it holds.
struct IdsInput {
  int num_experts = 0;        // 1 to routing::kMaxExperts
  int top_k = 0;              // 1 to num_experts
  const void* ids = nullptr;  // [rows, top_k] of id_type; -1 for a short slot. May be null when rows is 0.
  routing::IdType id_type = routing::IdType::kInt32;
  int64_t rows = 0;                     // >= 0
  int64_t ids_stride = 0;               // elements from row to row, >= top_k; of no account when rows is 0
  const uint8_t* valid_mask = nullptr;  // [rows], nonzero = count this row; null means all
};

// The most that a count may be, and the slots of all its rows together.
inline constexpr uint64_t kMaxCount = uint64_t{1} << 48;
// Up to here a float32 counts exactly.
inline constexpr float kMaxFloatCount = 0x1p24f;

enum class CountType { kInt32, kInt64, kFloat32 };

// Sums that were made elsewhere, over any number of rows. Grows counts, valid_rows and short_slots by them. But where a
// count is negative, no whole number or above its limit, or where they do not sum to top_k * valid_rows - short_slots,
// the call grows `refused` by 1 and nothing else.
struct CountsInput {
  int num_experts = 0;           // 1 to routing::kMaxExperts
  int top_k = 0;                 // 1 to num_experts
  const void* counts = nullptr;  // [num_experts] of `type`: whole numbers, 0 to kMaxCount (kFloat32: kMaxFloatCount)
  CountType type = CountType::kInt64;
  uint64_t valid_rows = 0;   // given by the host; at most kMaxCount / top_k
  uint64_t short_slots = 0;  // likewise; at most top_k * valid_rows
  // Only the counts are told: they may have any sum, valid_rows and short_slots are not read, and `stats` does not
  // grow.
  bool any_sum = false;
};

// OK, or INVALID_ARGUMENT naming the field and its value: what the structs above ask for, but for what ids and counts
// hold. Follows no pointer. Who counts and refuses its arguments has added nothing, nor grown `refused`.
absl::Status ValidateCount(const IdsInput& input, const CountOutput& output);
absl::Status ValidateCount(const CountsInput& input, const CountOutput& output);

}  // namespace evenkeel::counting
