#include "kernels/routing/reference_router.h"

#include <algorithm>
#include <vector>

#include "kernels/ieee.h"
#include "kernels/routing/half.h"
#include "kernels/routing/row_arithmetic.h"
#include "kernels/routing/row_selector.h"
#include "kernels/routing/row_weights.h"

namespace evenkeel::routing {
namespace {

// Routes rows one by one; what the last row came to is in ids() and weights().
class RowRouter {
 public:
  RowRouter(const RouteSpec& spec, const RouteInput& input)
      : spec_(spec),
        input_(input),
        selector_(spec),
        logits_(spec.num_experts),
        softmax_(NeedsRowSoftmax(spec) ? spec.num_experts : 0),
        scores_(spec.num_experts),
        ids_(spec.top_k),
        weights_(spec.top_k) {}

  void Route(int64_t row) {
    LoadLogits(row);
    ComputeScores();
    Select(row);
    RowWeights(spec_, arithmetic_, {logits_.data(), scores_.data(), softmax_.data()}, ids_.data(), weights_.data());
  }

  // A row that is masked.
  void Skip() {
    selector_.None(ids_.data());
    std::fill(weights_.begin(), weights_.end(), 0.0f);
  }

  const std::vector<int32_t>& ids() const { return ids_; }
  const std::vector<float>& weights() const { return weights_; }

 private:
  void LoadLogits(int64_t row) {
    const int64_t begin = row * input_.logits_stride;
    if (input_.logits_dtype == DType::kF32) {
      std::copy_n(static_cast<const float*>(input_.logits) + begin, logits_.size(), logits_.begin());
      return;
    }
    const auto* narrow = static_cast<const uint16_t*>(input_.logits) + begin;
    const auto widen = input_.logits_dtype == DType::kBF16 ? FloatFromBFloat16 : FloatFromHalf;
    std::transform(narrow, narrow + logits_.size(), logits_.begin(), widen);
  }

  void ComputeScores() {
    if (NeedsRowSoftmax(spec_)) arithmetic_.softmax(logits_.data(), spec_.num_experts, softmax_.data());
    switch (spec_.score) {
      case Score::kSigmoid:
        arithmetic_.sigmoid(logits_.data(), spec_.num_experts, scores_.data());
        break;
      case Score::kSoftmax:
        scores_ = softmax_;
        break;
      case Score::kSqrtSoftplus:
        arithmetic_.sqrt_softplus(logits_.data(), spec_.num_experts, scores_.data());
        break;
      case Score::kLogit:
        scores_ = logits_;
        break;
    }
    if (!spec_.scale_before_bias) return;
    for (float& score : scores_) score = ieee::Mul(score, spec_.scale);
  }

  void Select(int64_t row) {
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
    const bool poisoned = NeedsRowSoftmax(spec_) && !ieee::IsFinite(softmax_[0]);
    if (poisoned) return selector_.None(ids_.data());
    selector_.ByScore(scores_.data(), input_.bias, ids_.data());
  }

  const RouteSpec& spec_;
  const RouteInput& input_;
  const RowArithmetic& arithmetic_ = NativeRowArithmetic();
  RowSelector selector_;
  std::vector<float> logits_;   // [E]
  std::vector<float> softmax_;  // [E], or empty
  std::vector<float> scores_;   // [E]
  std::vector<int32_t> ids_;    // [K]
  std::vector<float> weights_;  // [K]
};

void StoreIds(const RouteOutput& output, int64_t row, const std::vector<int32_t>& ids) {
  if (output.ids == nullptr) return;
  const int64_t begin = row * output.ids_stride;
  if (output.id_type == IdType::kInt32) {
    std::copy(ids.begin(), ids.end(), static_cast<int32_t*>(output.ids) + begin);
  } else {
    std::copy(ids.begin(), ids.end(), static_cast<int64_t*>(output.ids) + begin);
  }
}

void StoreWeights(const RouteOutput& output, int64_t row, const std::vector<float>& weights) {
  if (output.weights == nullptr) return;
  const int64_t begin = row * output.weights_stride;
  if (output.weights_dtype == DType::kF32) {
    std::copy(weights.begin(), weights.end(), static_cast<float*>(output.weights) + begin);
    return;
  }
  const auto narrow = output.weights_dtype == DType::kBF16 ? BFloat16FromFloat : HalfFromFloat;
  std::transform(weights.begin(), weights.end(), static_cast<uint16_t*>(output.weights) + begin, narrow);
}

template <typename Value, typename ValueOf>
void StoreDense(Value* matrix, int64_t stride, int64_t row, int num_experts, const std::vector<int32_t>& ids,
                ValueOf value_of) {
  if (matrix == nullptr) return;
  Value* dense = matrix + row * stride;
  std::fill_n(dense, num_experts, Value{0});
  for (size_t slot = 0; slot < ids.size(); ++slot) {
    if (ids[slot] >= 0) dense[ids[slot]] = value_of(slot);
  }
}

void StoreRow(const RouteSpec& spec, const RouteOutput& output, int64_t row, const std::vector<int32_t>& ids,
              const std::vector<float>& weights) {
  StoreIds(output, row, ids);
  StoreWeights(output, row, weights);
  StoreDense(output.dense_probabilities, output.dense_probabilities_stride, row, spec.num_experts, ids,
             [&](size_t slot) { return weights[slot]; });
  StoreDense(output.dense_map, output.dense_map_stride, row, spec.num_experts, ids, [](size_t) { return uint8_t{1}; });
}

// Counts the slots of a valid row; answers how many are short.
int CountRow(const std::vector<int32_t>& ids, uint64_t* counts) {
  int short_slots = 0;
  for (const int32_t id : ids) {
    if (id < 0) {
      ++short_slots;
    } else if (counts != nullptr) {
      ++counts[id];
    }
  }
  return short_slots;
}

}  // namespace

absl::Status RouteReference(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                            RouteStats* stats) {
  absl::Status valid = ValidateRoute(spec, input, output);
  if (!valid.ok()) return valid;

  RowRouter router(spec, input);
  RouteStats added;
  for (int64_t row = 0; row < input.rows; ++row) {
    const bool masked = input.valid_mask != nullptr && input.valid_mask[row] == 0;
    if (masked) {
      router.Skip();
    } else {
      router.Route(row);
      ++added.valid_rows;
      added.short_slots += CountRow(router.ids(), output.counts);
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
