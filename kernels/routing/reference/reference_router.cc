#include "kernels/routing/reference/reference_router.h"

#include <algorithm>
#include <vector>

#include "kernels/ieee.h"
#include "kernels/routing/reference/row_arithmetic.h"
#include "kernels/routing/reference/row_scorer.h"
#include "kernels/routing/reference/row_selector.h"
#include "kernels/routing/reference/row_weights.h"
#include "kernels/routing/row_output.h"

namespace evenkeel::routing {
namespace {

// Routes rows one by one; what the last row came to is in ids() and weights().
class RowRouter {
 public:
  RowRouter(const RouteSpec& spec, const RouteInput& input)
      : spec_(spec),
        input_(input),
        scorer_(spec, input.logits, input.logits_dtype, input.logits_stride),
        selector_(spec),
        ids_(spec.top_k),
        weights_(spec.top_k) {}

  void Route(int64_t row) {
    const RowValues values = scorer_.Score(row);
    Select(row, values);
    RowWeights(spec_, NativeRowArithmetic(), values, ids_.data(), weights_.data());
  }

  // A row that is masked.
  void Skip() {
    selector_.None(ids_.data());
    std::fill(weights_.begin(), weights_.end(), 0.0f);
  }

  const int32_t* ids() const { return ids_.data(); }
  const float* weights() const { return weights_.data(); }

 private:
  void Select(int64_t row, const RowValues& values) {
    if (input_.replay_ids != nullptr) {
      return selector_.Replay(input_.replay_ids + row * input_.replay_stride, ids_.data());
    }
    switch (input_.forced.mode) {
      case ForcedBalance::Mode::kRoundRobin:
        return selector_.RoundRobin(row, ids_.data());
      case ForcedBalance::Mode::kRandom:
        return selector_.Random(*input_.forced.seed, row, ids_.data());
      case ForcedBalance::Mode::kNone:
        break;
    }
    const bool poisoned = NeedsRowSoftmax(spec_) && !ieee::IsFinite(values.softmax[0]);
    if (poisoned) return selector_.None(ids_.data());
    selector_.ByScore(values.scores, input_.bias, ids_.data());
  }

  const RouteSpec& spec_;
  const RouteInput& input_;
  RowScorer scorer_;
  RowSelector selector_;
  std::vector<int32_t> ids_;    // [K]
  std::vector<float> weights_;  // [K]
};

}  // namespace

absl::Status RouteReference(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                            RouteStats* stats) {
  absl::Status valid = ValidateRoute(spec, input, output);
  if (!valid.ok()) return valid;

  RowRouter router(spec, input);
  RouteStats added;
  for (int64_t row = 0; row < input.rows; ++row) {
    if (IsMasked(input, row)) {
      if (output.keep_masked_rows) continue;
      router.Skip();
    } else {
      router.Route(row);
      ++added.valid_rows;
      added.short_slots += CountRow(router.ids(), spec.top_k, output.counts);
    }
    StoreRow(spec, output, row, router.ids(), router.weights());
  }
  if (stats != nullptr) {
    stats->valid_rows += added.valid_rows;
    stats->short_slots += added.short_slots;
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::routing
