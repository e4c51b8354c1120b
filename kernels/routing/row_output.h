#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/routing/half.h"
#include "kernels/routing/route.h"
#include "kernels/routing/route_spec.h"

// Where one row's result goes: the same for every router of the CPU.
namespace evenkeel::routing {

namespace row_output_internal {

inline void StoreIds(const RouteOutput& output, int64_t row, int top_k, const int32_t* ids) {
  if (output.ids == nullptr) return;
  const int64_t begin = row * output.ids_stride;
  if (output.id_type == IdType::kInt32) {
    std::copy_n(ids, top_k, static_cast<int32_t*>(output.ids) + begin);
  } else {
    std::copy_n(ids, top_k, static_cast<int64_t*>(output.ids) + begin);
  }
}

inline void StoreWeights(const RouteOutput& output, int64_t row, int top_k, const float* weights) {
  if (output.weights == nullptr) return;
  const int64_t begin = row * output.weights_stride;
  if (output.weights_dtype == DType::kF32) {
    std::copy_n(weights, top_k, static_cast<float*>(output.weights) + begin);
    return;
  }
  const auto narrow = output.weights_dtype == DType::kBF16 ? BFloat16FromFloat : HalfFromFloat;
  std::transform(weights, weights + top_k, static_cast<uint16_t*>(output.weights) + begin, narrow);
}

template <typename Value, typename ValueOf>
void StoreDense(Value* dense, const RouteSpec& spec, const int32_t* ids, ValueOf value_of) {
  std::fill_n(dense, spec.num_experts, Value{0});
  for (int slot = 0; slot < spec.top_k; ++slot) {
    if (ids[slot] >= 0) dense[ids[slot]] = value_of(slot);
  }
}

}  // namespace row_output_internal

// True when somebody wants weights, in slots or dense.
inline bool WantsWeights(const RouteOutput& output) {
  return output.weights != nullptr || output.dense_probabilities != nullptr;
}

// Writes a row to every output that is wanted, but the counts. ids and weights are [top_k]; the weights are read only
// where WantsWeights.
inline void StoreRow(const RouteSpec& spec, const RouteOutput& output, int64_t row, const int32_t* ids,
                     const float* weights) {
  using namespace row_output_internal;
  StoreIds(output, row, spec.top_k, ids);
  StoreWeights(output, row, spec.top_k, weights);
  if (output.dense_probabilities != nullptr) {
    StoreDense(output.dense_probabilities + row * output.dense_probabilities_stride, spec, ids,
               [&](int slot) { return weights[slot]; });
  }
  if (output.dense_map != nullptr) {
    StoreDense(output.dense_map + row * output.dense_map_stride, spec, ids, [](int) { return uint8_t{1}; });
  }
}

// Counts the slots of a valid row, unless counts are not wanted; answers how many are short.
inline int CountRow(const int32_t* ids, int top_k, uint64_t* counts) {
  int short_slots = 0;
  for (int slot = 0; slot < top_k; ++slot) {
    if (ids[slot] < 0) {
      ++short_slots;
    } else if (counts != nullptr) {
      ++counts[ids[slot]];
    }
  }
  return short_slots;
}

inline bool IsMasked(const RouteInput& input, int64_t row) {
  return input.valid_mask != nullptr && input.valid_mask[row] == 0;
}

}  // namespace evenkeel::routing
