#include "kernels/routing/cpu/cpu_router.h"

#include <algorithm>
#include <cstdint>

#include "kernels/routing/cpu/row_workspace.h"
#include "kernels/routing/cpu/targets.h"
#include "kernels/routing/forced_balance.h"
#include "kernels/routing/reference/reference_router.h"
#include "kernels/routing/row_output.h"

// What follows, up to HWY_ONCE, is compiled once for every target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/routing/cpu/cpu_router.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/routing/cpu/row_groups-inl.h"
#include "kernels/routing/cpu/row_scores-inl.h"
#include "kernels/routing/cpu/row_selection-inl.h"
#include "kernels/routing/cpu/row_weights-inl.h"
#include "kernels/routing/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

#if EVENKEEL_SIMD
namespace {

// The bias, 0 if there is none, and minus infinity behind the last expert.
void LoadBias(const float* bias, int num_experts, float* to) {
  for (int e = 0; e < num_experts; ++e) to[e] = bias == nullptr ? 0 : bias[e];
  for (int e = num_experts; e < Padded(num_experts); ++e) to[e] = kNegativeInfinity;
}

void Replay(const RouteSpec& spec, const int32_t* given, int32_t* ids) {
  for (int slot = 0; slot < spec.top_k; ++slot) {
    bool usable = given[slot] >= 0 && given[slot] < spec.num_experts;
    for (int earlier = 0; earlier < slot; ++earlier) usable &= given[earlier] != given[slot];
    ids[slot] = usable ? given[slot] : -1;
  }
}

void ChooseRoundRobin(const RouteSpec& spec, RowWorkspace* row) {
  for (int slot = 0; slot < spec.top_k; ++slot) {
    row->ids[slot] = RoundRobinExpert(row->index, slot, spec.top_k, spec.num_experts);
  }
}

void ScoreRandomly(const RouteSpec& spec, uint64_t seed, RowWorkspace* row) {
  const uint64_t row_key = RandomRowKey(seed, row->index);
  for (int e = 0; e < spec.num_experts; ++e) row->keys[e] = RandomScore(row_key, e);
}

// Routes a block of rows: each step for all of them before the next one.
class BlockRouter {
 public:
  BlockRouter(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output)
      : spec_(spec), input_(input), output_(output), workspace_(spec) {
    LoadBias(input.bias, spec.num_experts, workspace_.bias());
  }

  int rows() const { return workspace_.rows(); }

  // Rows first .. first + count - 1, count <= rows().
  void Route(int64_t first, int count, RouteStats* added) {
    int valid = 0;
    for (int64_t index = first; index < first + count; ++index) {
      if (IsMasked(input_, index)) {
        if (!output_.keep_masked_rows) SkipRow(index);
      } else {
        workspace_.row(valid++).index = index;
      }
    }
    for (int r = 0; r < valid; ++r) ScoreLogits(&workspace_.row(r));
    ChooseIds(valid);
    if (WantsWeights(output_)) ComputeWeights(valid);
    for (int r = 0; r < valid; ++r) {
      const RowWorkspace& row = workspace_.row(r);
      added->short_slots += CountRow(row.ids, spec_.top_k, output_.counts);
      StoreRow(spec_, output_, row.index, row.ids, row.weights);
    }
    added->valid_rows += valid;
  }

 private:
  void SkipRow(int64_t index) {
    int32_t ids[kMaxSimdSlots];
    for (int32_t& id : ids) id = -1;
    const float weights[kMaxSimdSlots] = {};
    StoreRow(spec_, output_, index, ids, weights);
  }

  void ScoreLogits(RowWorkspace* row) {
    row->logits = RowLogits(input_, row->index, spec_.num_experts, row->widened);
    const int padded = Padded(spec_.num_experts);
    const bool with_softmax = NeedsRowSoftmax(spec_);
    // There are no keys yet: their place serves the sum.
    if (with_softmax) row->exponential_sum = RowExponentials(row->logits, padded, row->exponentials, row->keys);
    ScoreRow(spec_, workspace_.bias(), row);
    if (with_softmax && !evenkeel::ieee::IsFinite(row->exponential_sum)) PoisonRow(padded, row);
  }

  void ChooseIds(int rows) {
    if (input_.replay_ids != nullptr) {
      for (int r = 0; r < rows; ++r) {
        RowWorkspace& row = workspace_.row(r);
        Replay(spec_, input_.replay_ids + row.index * input_.replay_stride, row.ids);
      }
      return;
    }
    switch (input_.forced.mode) {
      case ForcedBalance::Mode::kNone:
        FilterCompetitors(rows);
        return SelectBest(rows);
      case ForcedBalance::Mode::kRoundRobin:
        for (int r = 0; r < rows; ++r) ChooseRoundRobin(spec_, &workspace_.row(r));
        return;
      case ForcedBalance::Mode::kRandom:
        for (int r = 0; r < rows; ++r) {
          ScoreRandomly(spec_, *input_.forced.seed, &workspace_.row(r));
          LetAllCompete(spec_, &workspace_.row(r));
        }
        return SelectBest(rows);
    }
  }

  void FilterCompetitors(int rows) {
    if (!GroupsActive(spec_)) {
      for (int r = 0; r < rows; ++r) LetAllCompete(spec_, &workspace_.row(r));
      return;
    }
    for (int r = 0; r < rows; ++r) MeasureGroups(spec_, &workspace_.row(r));
    for (int r = 0; r < rows; ++r) FilterGroups(spec_, &workspace_.row(r));
  }

  void SelectBest(int rows) {
    for (int r = 0; r < rows; ++r) CollectCandidates(spec_.top_k, &workspace_.row(r));
    for (int r = 0; r < rows; ++r) SortCandidates(spec_.top_k, &workspace_.row(r));
  }

  void ComputeWeights(int rows) {
    for (int r = 0; r < rows; ++r) GatherValues(spec_, &workspace_.row(r));
    for (int r = 0; r < rows; ++r) WeighRow(spec_, &workspace_.row(r));
  }

  const RouteSpec& spec_;
  const RouteInput& input_;
  const RouteOutput& output_;
  BlockWorkspace workspace_;
};

}  // namespace

// Routes every row, adding to `added`; answers the target, or 0 where this one has no SIMD router. With `added` null it
// only answers.
int64_t RouteRows(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* added) {
  if (added == nullptr) return HWY_TARGET;
  BlockRouter router(spec, input, output);
  for (int64_t first = 0; first < input.rows; first += router.rows()) {
    router.Route(first, static_cast<int>(std::min<int64_t>(router.rows(), input.rows - first)), added);
  }
  return HWY_TARGET;
}
#else
int64_t RouteRows(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* added) {
  return 0;
}
#endif  // EVENKEEL_SIMD

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel::routing {
namespace {

HWY_EXPORT(RouteRows);

}  // namespace

absl::Status RouteCpu(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* stats) {
  absl::Status valid = ValidateRoute(spec, input, output);
  if (!valid.ok()) return valid;
  RouteStats added;
  const bool routed = FitsSimd(spec) && HWY_DYNAMIC_DISPATCH(RouteRows)(spec, input, output, &added) != 0;
  if (!routed) return RouteReference(spec, input, output, stats);
  if (stats != nullptr) {
    stats->valid_rows += added.valid_rows;
    stats->short_slots += added.short_slots;
  }
  return absl::OkStatus();
}

absl::string_view CpuRoutePath(const RouteSpec& spec) {
  const int64_t target = FitsSimd(spec) ? HWY_DYNAMIC_DISPATCH(RouteRows)(spec, {}, {}, nullptr) : 0;
  return target == 0 ? "reference" : hwy::TargetName(target);
}

}  // namespace evenkeel::routing
#endif  // HWY_ONCE
