#include "kernels/routing/conformance/naive_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/routing/reference/row_arithmetic.h"

namespace evenkeel::routing {
namespace {

constexpr double kNone = -HUGE_VAL;

std::vector<double> Softmax(const std::vector<double>& x) {
  double maximum = kNone;
  for (const double value : x) maximum = std::isnan(value) || value > maximum ? value : maximum;
  std::vector<double> result;
  double sum = 0;
  for (const double value : x) {
    result.push_back(std::exp(value - maximum));
    sum += result.back();
  }
  for (double& value : result) value /= sum;
  return result;
}

double Sigmoid(double x) { return x > 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

double SqrtSoftplus(double x) {
  return x < -300 ? std::exp(x / 2) : std::sqrt(std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))));
}

std::vector<double> DoubleScores(const RouteSpec& spec, const std::vector<float>& logits) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (spec.score == Score::kSoftmax) scores = Softmax(scores);
  for (double& score : scores) {
    if (spec.score == Score::kSigmoid) score = Sigmoid(score);
    if (spec.score == Score::kSqrtSoftplus && !std::isinf(score)) score = SqrtSoftplus(score);
    if (spec.score == Score::kSqrtSoftplus && score == kNone) score = 0;
    if (spec.scale_before_bias) score *= spec.scale;
  }
  return scores;
}

std::vector<double> FloatScores(const RouteSpec& spec, const std::vector<float>& logits) {
  const RowArithmetic& arithmetic = PortableRowArithmetic();
  std::vector<float> scores = logits;
  const int size = static_cast<int>(scores.size());
  if (spec.score == Score::kSigmoid) arithmetic.sigmoid(logits.data(), size, scores.data());
  if (spec.score == Score::kSqrtSoftplus) arithmetic.sqrt_softplus(logits.data(), size, scores.data());
  if (spec.score == Score::kSoftmax) arithmetic.softmax(logits.data(), size, scores.data());
  if (spec.scale_before_bias) {
    for (float& score : scores) score *= spec.scale;
  }
  return {scores.begin(), scores.end()};
}

// Positions of the values in descending order, equal ones in their own order. kNone comes last.
std::vector<int> Argsort(const std::vector<double>& values) {
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return values[a] > values[b]; });
  return order;
}

bool Representable(double value) { return std::fabs(value) <= std::numeric_limits<float>::max(); }

// A row in the making: the key of each expert that is a candidate, kNone of one that is not.
class Selection {
 public:
  Selection(const RouteSpec& spec, Precision precision) : spec_(spec), precision_(precision) {}

  NaiveIds Run(const std::vector<double>& scores, const std::vector<float>& bias, bool poisoned) {
    for (size_t e = 0; e < scores.size(); ++e) {
      const double biased = Round(scores[e] + (bias.empty() ? 0.0f : bias[e]));
      const bool candidate = !poisoned && Representable(scores[e]) && Representable(biased);
      keys_.push_back(candidate ? biased : kNone);
      if (candidate && !bias.empty()) magnitude_ = std::fmax(magnitude_, std::fabs(bias[e]));
    }
    if (GroupsActive(spec_)) DropGroups(scores);
    const std::vector<int> order = Argsort(keys_);
    NaiveIds result;
    for (int slot = 0; slot < spec_.top_k; ++slot) {
      result.ids.push_back(keys_[order[slot]] == kNone ? -1 : order[slot]);
      if (slot + 1 < static_cast<int>(order.size())) Compare(keys_[order[slot]], keys_[order[slot + 1]]);
    }
    result.margin = margin_;
    return result;
  }

 private:
  double Round(double value) const { return precision_ == Precision::kFloat ? static_cast<float>(value) : value; }

  void Compare(double better, double worse) {
    if (worse == kNone || (better == 0 && worse == 0)) return;  // zeros are filled in, and no float differs on them
    const double scale = std::fabs(better) + std::fabs(worse) + magnitude_;
    margin_ = std::fmin(margin_, scale > 0 ? (better - worse) / scale : 0);
  }

  void DropGroups(const std::vector<double>& scores) {
    const int experts = ExpertsPerGroup(spec_);
    std::vector<double> group_scores;
    for (int g = 0; g < spec_.num_groups; ++g) {
      std::vector<double> values;
      for (int e = g * experts; e < (g + 1) * experts; ++e) {
        if (keys_[e] != kNone) values.push_back(spec_.group_score_biased ? keys_[e] : scores[e]);
      }
      std::sort(values.rbegin(), values.rend());
      values.resize(std::min<size_t>(values.size(), GroupScoreTerms(spec_)));
      double sum = values.empty() ? kNone : values[0];
      for (size_t i = 1; i < values.size(); ++i) sum = Round(sum + values[i]);
      // A sum beyond the floats is minus infinity, and still before a group without candidates.
      if (!values.empty()) sum = std::fmax(sum, std::numeric_limits<double>::lowest());
      for (const double value : values) group_magnitude_ = std::fmax(group_magnitude_, std::fabs(value));
      group_scores.push_back(sum);
    }
    const std::vector<int> order = Argsort(group_scores);
    if (spec_.top_groups < spec_.num_groups) {
      const double last_kept = group_scores[order[spec_.top_groups - 1]];
      const double first_dropped = group_scores[order[spec_.top_groups]];
      if (first_dropped != kNone && group_magnitude_ > 0) {
        margin_ = std::fmin(margin_, (last_kept - first_dropped) / (2 * group_magnitude_ + magnitude_));
      }
    }
    for (int rank = spec_.top_groups; rank < spec_.num_groups; ++rank) {
      for (int e = order[rank] * experts; e < (order[rank] + 1) * experts; ++e) {
        const bool zero = spec_.dropped_group_fill == DroppedGroupFill::kZero && keys_[e] != kNone;
        keys_[e] = zero ? 0 : kNone;
      }
    }
  }

  const RouteSpec& spec_;
  const Precision precision_;
  std::vector<double> keys_;
  double magnitude_ = 0;  // of the biases
  double group_magnitude_ = 0;
  double margin_ = 1;
};

}  // namespace

NaiveIds NaiveSelect(const RouteSpec& spec, const std::vector<float>& logits, const std::vector<float>& bias,
                     Precision precision) {
  const std::vector<double> softmax = Softmax({logits.begin(), logits.end()});
  const bool poisoned = NeedsRowSoftmax(spec) && std::isnan(softmax[0]);
  const std::vector<double> scores =
      precision == Precision::kDouble ? DoubleScores(spec, logits) : FloatScores(spec, logits);
  return Selection(spec, precision).Run(scores, bias, poisoned);
}

NaiveWeights NaiveWeigh(const RouteSpec& spec, const std::vector<float>& logits, const std::vector<int32_t>& ids) {
  std::vector<double> values(logits.begin(), logits.end());
  if (spec.weight == Weight::kScore) values = DoubleScores(spec, logits);
  if (spec.weight == Weight::kSoftmax) values = Softmax(values);
  const bool of_selected = spec.weight == Weight::kSoftmaxOfSelected || spec.weight == Weight::kSigmoidOfSelected;
  std::vector<double> weights;
  for (const int32_t id : ids) weights.push_back(id < 0 ? (of_selected ? kNone : 0) : values[id]);
  if (spec.weight == Weight::kSoftmaxOfSelected) weights = Softmax(weights);
  double sum = 0;
  double absolute_sum = 0;
  for (double& weight : weights) {
    if (spec.weight == Weight::kSigmoidOfSelected) weight = Sigmoid(weight);
    if (!Representable(weight)) weight = 0;
    sum += weight;
    absolute_sum += std::fabs(weight);
  }
  double condition = 1;
  if (spec.normalize) {
    sum += spec.normalize_epsilon;
    const double divisor = std::fmax(sum, spec.normalize_min);
    for (double& weight : weights) weight = divisor > 0 && std::isfinite(sum) ? weight / divisor : 0;
    condition = std::fabs(sum) > 0 ? std::fmax(1, absolute_sum / std::fabs(sum)) : HUGE_VAL;
  }
  if (!(spec.scale_before_bias && spec.weight == Weight::kScore)) {
    for (double& weight : weights) weight *= spec.scale;
  }
  return {weights, condition};
}

}  // namespace evenkeel::routing
