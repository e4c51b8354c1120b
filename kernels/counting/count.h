#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/routing/route.h"

// Counting for trainers that route by themselves: assignments per expert from the ids that a router chose, or from
// counts that were made elsewhere. The reference and the GPU count the same.
//
// What is counted is ADDED, so that over many calls, and together with routers (route.h),
//   sum(counts) = top_k * valid_rows - short_slots
// What cannot be counted is not: it is told in `refused`, and nothing of that row, or of that call, is in the sums.
namespace evenkeel::counting {

struct CountOutput {
  uint64_t* counts = nullptr;            // [num_experts]
  routing::RouteStats* stats = nullptr;  // [1]
  uint64_t* refused = nullptr;           // [1]
};

// The ids of a router's slots.
struct IdsInput {
  int num_experts = 0;        // 1 to routing::kMaxExperts
  int top_k = 0;              // 1 to num_experts
  const void* ids = nullptr;  // [rows, top_k] of id_type; -1 for a short slot. May be null when rows is 0.
  routing::IdType id_type = routing::IdType::kInt32;
  int64_t rows = 0;                     // >= 0
  int64_t ids_stride = 0;               // elements from row to row, >= top_k
  const uint8_t* valid_mask = nullptr;  // [rows], nonzero = count this row; null means all
};

// A valid row grows valid_rows by 1, short_slots by its slots of -1, and counts by one for each other slot. A row with
// an id outside of -1 .. num_experts - 1, or with one that it holds twice, grows `refused` by 1 and nothing else.

// Sums that were made elsewhere, over any number of rows.
enum class CountType { kInt32, kInt64, kFloat32 };

struct CountsInput {
  int num_experts = 0;
  int top_k = 0;
  const void* counts = nullptr;  // [num_experts] of `type`: whole numbers, 0 to 2^48 (kFloat32: to 2^24)
  CountType type = CountType::kInt64;
  uint64_t valid_rows = 0;  // given by the host
  uint64_t short_slots = 0;
};

// Grows counts, valid_rows and short_slots, or, where a count is negative, no whole number or too large, or they do not
// sum to top_k * valid_rows - short_slots, `refused` by 1 and nothing else.

// OK, or INVALID_ARGUMENT naming the field and its value: what the structs above ask for. Nothing is counted then.
absl::Status ValidateCount(const IdsInput& input, const CountOutput& output);
absl::Status ValidateCount(const CountsInput& input, const CountOutput& output);

}  // namespace evenkeel::counting
