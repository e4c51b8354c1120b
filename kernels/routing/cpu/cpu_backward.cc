#include "kernels/routing/cpu/cpu_backward.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/routing/cpu/backward_workspace.h"
#include "kernels/routing/cpu/targets.h"
#include "kernels/routing/half.h"
#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/route_spec.h"

// What follows, up to HWY_ONCE, is compiled once for every target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/routing/cpu/cpu_backward.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/routing/cpu/row_gradient-inl.h"
#include "kernels/routing/cpu/row_scores-inl.h"
#include "kernels/routing/cpu/row_store-inl.h"
#include "kernels/routing/cpu/row_weights-inl.h"
#include "kernels/routing/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

#if EVENKEEL_SIMD
namespace {

template <class Id>
void LoadIds(const Id* from, const RouteSpec& spec, int32_t* ids) {
  for (int slot = 0; slot < spec.top_k; ++slot) {
    const bool in_range = from[slot] >= 0 && from[slot] < spec.num_experts;
    ids[slot] = in_range ? static_cast<int32_t>(from[slot]) : -1;
  }
  for (int slot = spec.top_k; slot < kMaxSimdSlots; ++slot) ids[slot] = -1;
}

void LoadIds(const RouteBackwardInput& input, const RouteSpec& spec, BackwardRow* row) {
  const int64_t begin = row->index * input.ids_stride;
  if (input.id_type == IdType::kInt32) {
    LoadIds(static_cast<const int32_t*>(input.ids) + begin, spec, row->ids);
  } else {
    LoadIds(static_cast<const int64_t*>(input.ids) + begin, spec, row->ids);
  }
}

// The logits of the slots' experts; minus infinity in short slots, and in the rest of the last register.
void GatherLogits(const RouteSpec& spec, const RouteBackwardInput& input, BackwardRow* row) {
  const int64_t begin = row->index * input.logits_stride;
  if (input.logits_dtype == DType::kF32) {
    const float* logits = static_cast<const float*>(input.logits) + begin;
    return Gather(logits, row->ids, spec.top_k, kNegativeInfinity, row->x);
  }
  const auto* logits = static_cast<const uint16_t*>(input.logits) + begin;
  const auto widen = input.logits_dtype == DType::kBF16 ? FloatFromBFloat16 : FloatFromHalf;
  for (int slot = 0; slot < kMaxSimdSlots; ++slot) {
    row->x[slot] = row->ids[slot] < 0 ? kNegativeInfinity : widen(logits[row->ids[slot]]);
  }
}

// The exponentials of all logits, and those of the slots' experts.
void GatherExponentials(const RouteSpec& spec, const RouteBackwardInput& input, float* widened, BackwardRow* row) {
  RouteInput routed;
  routed.logits = input.logits;
  routed.logits_dtype = input.logits_dtype;
  routed.logits_stride = input.logits_stride;
  const float* logits = RowLogits(routed, row->index, spec.num_experts, widened);
  row->total = RowExponentials(logits, Padded(spec.num_experts), row->experts, widened);
  Gather(row->experts, row->ids, spec.top_k, 0, row->p);
}

void GatherGradients(const RouteSpec& spec, const RouteBackwardInput& input, BackwardRow* row) {
  const int64_t begin = row->index * input.d_weights_stride;
  if (input.d_weights == nullptr) {
    std::memset(row->h, 0, sizeof(row->h));
  } else if (input.d_weights_dtype == DType::kF32) {
    Widen<FromFloat>(static_cast<const float*>(input.d_weights) + begin, spec.top_k, row->h);
  } else if (input.d_weights_dtype == DType::kBF16) {
    Widen<FromBFloat16>(static_cast<const uint16_t*>(input.d_weights) + begin, spec.top_k, row->h);
  } else {
    Widen<FromHalf>(static_cast<const uint16_t*>(input.d_weights) + begin, spec.top_k, row->h);
  }
  if (input.d_probabilities == nullptr) {
    std::memset(row->d_probabilities, 0, sizeof(row->d_probabilities));
  } else {
    const float* dense = input.d_probabilities + row->index * input.d_probabilities_stride;
    Gather(dense, row->ids, spec.top_k, 0, row->d_probabilities);
  }
}

// First step: what lies in the caller's memory.
void LoadRow(const RouteSpec& spec, const RouteBackwardInput& input, float* widened, BackwardRow* row) {
  LoadIds(input, spec, row);
  GatherGradients(spec, input, row);
  row->total = 0;
  if (WeightsAreSoftmaxOfAll(spec)) {
    GatherExponentials(spec, input, widened, row);
  } else {
    GatherLogits(spec, input, row);
  }
}

// Second step: forwards, to the values that were gathered.
void MakeValues(const RouteSpec& spec, BackwardRow* row) {
  if (WeightsAreSoftmaxOfAll(spec)) {
    SoftmaxOfAll(spec, row);
  } else if (spec.weight == Weight::kSoftmaxOfSelected) {
    SoftmaxOfChosen(spec.top_k, row);
  } else {
    DifferentiateScores(spec, row);
  }
  BuryDead(spec.top_k, row);
}

// Third step: forwards, through the normaliser, and backwards through the scale.
void NormalizeAndScale(const RouteSpec& spec, BackwardRow* row) {
  NormalizeSlots(spec, row);
  CollectGradients(spec, row);
}

// Fourth step: backwards, through the normaliser and what was gathered.
void MakeGradients(const RouteSpec& spec, BackwardRow* row) {
  if (row->normalized.centres) Centre(spec.top_k, row);
  if (WeightsAreSoftmaxOfAll(spec) || spec.weight == Weight::kSoftmaxOfSelected) {
    ThroughSoftmax(spec.top_k, row);
  } else {
    ThroughScores(spec.top_k, row);
  }
}

// Last step: into the caller's memory.
void StoreRow(const RouteSpec& spec, const RouteBackwardOutput& output, BackwardRow* row) {
  const FloatRow to = {output.d_logits, output.d_logits_dtype, row->index * output.d_logits_stride, spec.num_experts};
  if (!row->normalized.usable || !evenkeel::ieee::IsFinite(row->total)) return StoreZeros(to);
  if (WeightsAreSoftmaxOfAll(spec)) {
    ThroughSoftmaxOfAll(Padded(spec.num_experts), row);
    StoreAll(row->experts, to);
  } else {
    StoreZeros(to);
  }
  for (int slot = 0; slot < spec.top_k; ++slot) {
    if (row->ids[slot] >= 0) StoreOne(row->d_chosen[slot], row->ids[slot], to);
  }
}

}  // namespace

// Takes every row back; answers the target, or 0 where this one has no SIMD pass. With `output` null it only answers.
int64_t TakeRowsBack(const RouteSpec& spec, const RouteBackwardInput& input, const RouteBackwardOutput* output) {
  if (output == nullptr) return HWY_TARGET;
  BackwardBlock block;
  for (int64_t begin = 0; begin < input.rows; begin += BackwardBlock::kRows) {
    const int rows = static_cast<int>(std::min<int64_t>(BackwardBlock::kRows, input.rows - begin));
    for (int r = 0; r < rows; ++r) {
      block.rows[r].index = begin + r;
      LoadRow(spec, input, block.logits, &block.rows[r]);
    }
    for (int r = 0; r < rows; ++r) MakeValues(spec, &block.rows[r]);
    for (int r = 0; r < rows; ++r) NormalizeAndScale(spec, &block.rows[r]);
    for (int r = 0; r < rows; ++r) MakeGradients(spec, &block.rows[r]);
    for (int r = 0; r < rows; ++r) StoreRow(spec, *output, &block.rows[r]);
  }
  return HWY_TARGET;
}
#else
int64_t TakeRowsBack(const RouteSpec& spec, const RouteBackwardInput& input, const RouteBackwardOutput* output) {
  return 0;
}
#endif  // EVENKEEL_SIMD

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel::routing {
namespace {

HWY_EXPORT(TakeRowsBack);

}  // namespace

absl::Status RouteBackwardCpu(const RouteSpec& spec, const RouteBackwardInput& input,
                              const RouteBackwardOutput& output) {
  absl::Status valid = ValidateRouteBackward(spec, input, output);
  if (!valid.ok()) return valid;
  const bool done = FitsSimd(spec) && HWY_DYNAMIC_DISPATCH(TakeRowsBack)(spec, input, &output) != 0;
  return done ? absl::OkStatus() : RouteBackwardReference(spec, input, output);
}

absl::string_view CpuBackwardPath(const RouteSpec& spec) {
  const int64_t target = FitsSimd(spec) ? HWY_DYNAMIC_DISPATCH(TakeRowsBack)(spec, {}, nullptr) : 0;
  return target == 0 ? "reference" : hwy::TargetName(target);
}

}  // namespace evenkeel::routing
#endif  // HWY_ONCE
