#include "kernels/routing/reference/reference_backward.h"

#include <algorithm>
#include <vector>

#include "kernels/ieee.h"
#include "kernels/routing/derivative.h"
#include "kernels/routing/lane_sum.h"
#include "kernels/routing/reference/matrix_row.h"
#include "kernels/routing/reference/row_arithmetic.h"
#include "kernels/routing/reference/row_scorer.h"
#include "kernels/routing/reference/row_weights.h"

namespace evenkeel::routing {
namespace {

// Takes rows back one by one; the names are those of route_backward.h.
class RowBackward {
 public:
  RowBackward(const RouteSpec& spec, const RouteBackwardInput& input)
      : spec_(spec),
        input_(input),
        scorer_(spec, input.logits, input.logits_dtype, input.logits_stride),
        ids_(spec.top_k),
        u_(spec.top_k),
        n_(spec.top_k),
        h_(spec.top_k),
        products_(spec.top_k),
        d_logits_(spec.num_experts) {}

  // The gradient of a row's logits, [E], valid until the next call.
  const float* DLogits(int64_t row) {
    std::fill(d_logits_.begin(), d_logits_.end(), 0.0f);
    values_ = scorer_.Score(row);
    LoadIds(row);
    Gather();
    if (!Normalize()) return d_logits_.data();
    LoadGradients(row);
    if (WeightsAreSoftmaxOfAll(spec_)) {
      ThroughSoftmaxOverAll();
    } else if (spec_.weight == Weight::kSoftmaxOfSelected) {
      ThroughSoftmaxOfSelected();
    } else {
      ThroughEachByItself();
    }
    return d_logits_.data();
  }

 private:
  // Ids of short slots become -1.
  void LoadIds(int64_t row) {
    const int64_t begin = row * input_.ids_stride;
    for (int slot = 0; slot < spec_.top_k; ++slot) {
      const int64_t id = input_.id_type == IdType::kInt32 ? static_cast<const int32_t*>(input_.ids)[begin + slot]
                                                          : static_cast<const int64_t*>(input_.ids)[begin + slot];
      ids_[slot] = id >= 0 && id < spec_.num_experts ? static_cast<int32_t>(id) : -1;
    }
  }

  // Makes u. From here on the id of every dead slot is -1.
  void Gather() {
    GatherValues(spec_, NativeRowArithmetic(), values_, ids_.data(), u_.data());
    for (int slot = 0; slot < spec_.top_k; ++slot) {
      if (!ieee::IsFinite(u_[slot])) {
        u_[slot] = 0;
        ids_[slot] = -1;
      }
    }
  }

  // Makes D and n. False where the weights of the row were 0.
  bool Normalize() {
    divisor_ = 1;
    centre_ = false;
    n_ = u_;
    if (!spec_.normalize) return true;
    const Normalizer normalizer = NormalizerOf(spec_, u_.data());
    divisor_ = normalizer.divisor;
    centre_ = normalizer.is_sum;
    for (float& n : n_) n = ieee::Div(n, divisor_);
    return normalizer.usable;
  }

  // Makes h.
  void LoadGradients(int64_t row) {
    std::fill(h_.begin(), h_.end(), 0.0f);
    if (input_.d_weights != nullptr) {
      ReadFloats(input_.d_weights, input_.d_weights_dtype, row * input_.d_weights_stride, spec_.top_k, h_.data());
    }
    for (int slot = 0; slot < spec_.top_k; ++slot) {
      if (ids_[slot] < 0) {
        h_[slot] = 0;
        continue;
      }
      const bool dense = input_.d_probabilities != nullptr;
      const int64_t at = row * input_.d_probabilities_stride + ids_[slot];
      h_[slot] = ieee::Add(h_[slot], dense ? input_.d_probabilities[at] : 0.0f);
      if (WeightsAreScaled(spec_)) h_[slot] = ieee::Mul(h_[slot], spec_.scale);
    }
    if (!centre_) return;
    const float mean = SumOfHN();
    for (int slot = 0; slot < spec_.top_k; ++slot) h_[slot] = ids_[slot] < 0 ? 0 : ieee::Sub(h_[slot], mean);
  }

  float SumOfHN() {
    for (int slot = 0; slot < spec_.top_k; ++slot) products_[slot] = ieee::Mul(h_[slot], n_[slot]);
    return LaneSum(products_.data(), spec_.top_k);
  }

  void ThroughEachByItself() {
    for (int slot = 0; slot < spec_.top_k; ++slot) {
      if (ids_[slot] < 0) continue;
      float derivative = Derivative(values_.logits[ids_[slot]]);
      if (!WeightsAreScaled(spec_)) derivative = ieee::Mul(derivative, spec_.scale);
      d_logits_[ids_[slot]] = ieee::Mul(h_[slot], ieee::Div(derivative, divisor_));
    }
  }

  float Derivative(float x) const {
    const bool sigmoid = spec_.weight == Weight::kSigmoidOfSelected || spec_.score == Score::kSigmoid;
    if (sigmoid) return DifferentiateSigmoid(x).derivative;
    return spec_.score == Score::kSqrtSoftplus ? DifferentiateSqrtSoftplus(x).derivative : 1;
  }

  void ThroughSoftmaxOverAll() {
    const bool poisoned = !ieee::IsFinite(values_.softmax[0]);
    if (poisoned) return;
    const float sum = SumOfHN();
    for (int e = 0; e < spec_.num_experts; ++e) d_logits_[e] = ThroughSoftmax(0, 0, values_.softmax[e], sum);
    for (int slot = 0; slot < spec_.top_k; ++slot) {
      const int32_t id = ids_[slot];
      if (id >= 0) d_logits_[id] = ThroughSoftmax(h_[slot], n_[slot], values_.softmax[id], sum);
    }
  }

  void ThroughSoftmaxOfSelected() {
    const float sum = SumOfHN();
    for (int slot = 0; slot < spec_.top_k; ++slot) {
      if (ids_[slot] >= 0) d_logits_[ids_[slot]] = ThroughSoftmax(h_[slot], n_[slot], u_[slot], sum);
    }
  }

  static float ThroughSoftmax(float h, float n, float p, float sum) {
    return ieee::Fma(h, n, ieee::Neg(ieee::Mul(p, sum)));
  }

  const RouteSpec& spec_;
  const RouteBackwardInput& input_;
  RowScorer scorer_;
  RowValues values_ = {};
  std::vector<int32_t> ids_;     // [K]
  std::vector<float> u_;         // [K]
  std::vector<float> n_;         // [K]
  std::vector<float> h_;         // [K]
  std::vector<float> products_;  // [K]
  float divisor_ = 1;            // D
  bool centre_ = false;          // the sum made D
  std::vector<float> d_logits_;  // [E]
};

}  // namespace

absl::Status RouteBackwardReference(const RouteSpec& spec, const RouteBackwardInput& input,
                                    const RouteBackwardOutput& output) {
  absl::Status valid = ValidateRouteBackward(spec, input, output);
  if (!valid.ok()) return valid;

  RowBackward backward(spec, input);
  for (int64_t row = 0; row < input.rows; ++row) {
    WriteFloats(backward.DLogits(row), spec.num_experts, output.d_logits, output.d_logits_dtype,
                row * output.d_logits_stride);
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::routing
