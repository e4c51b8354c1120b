#include "kernels/routing/conformance/naive_gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace evenkeel::routing {
namespace {

// A value and its derivative by the one logit that is being looked at.
struct Dual {
  double value = 0;
  double slope = 0;

  Dual() = default;
  Dual(double constant) : value(constant) {}  // NOLINT: a number is a dual number
  Dual(double v, double s) : value(v), slope(s) {}
};

Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
Dual operator*(Dual a, Dual b) { return {a.value * b.value, a.slope * b.value + a.value * b.slope}; }
Dual operator/(Dual a, Dual b) {
  const double quotient = a.value / b.value;
  return {quotient, (a.slope - quotient * b.slope) / b.value};
}
Dual exp(Dual a) { return {std::exp(a.value), std::exp(a.value) * a.slope}; }
Dual log1p(Dual a) { return {std::log1p(a.value), a.slope / (1 + a.value)}; }
Dual sqrt(Dual a) { return {std::sqrt(a.value), a.slope / (2 * std::sqrt(a.value))}; }
double Value(double a) { return a; }
double Value(Dual a) { return a.value; }

// Number is double or Dual.
template <typename Number>
Number Sigmoid(Number x) {
  using std::exp;
  if (Value(x) > 0) return Number(1) / (exp(Number(-1) * x) + Number(1));
  return exp(x) / (exp(x) + Number(1));
}

template <typename Number>
Number SqrtSoftplus(Number x) {
  using std::exp;
  using std::log1p;
  using std::sqrt;
  if (Value(x) < -300) return exp(x * Number(0.5));
  if (Value(x) > 300) return sqrt(x);
  return sqrt(log1p(exp(x)));
}

template <typename Number>
std::vector<Number> Softmax(const std::vector<Number>& x) {
  using std::exp;
  double maximum = -HUGE_VAL;
  for (const Number& value : x) maximum = std::isnan(Value(value)) ? NAN : std::fmax(maximum, Value(value));
  if (!std::isfinite(maximum)) return std::vector<Number>(x.size(), Number(NAN));
  for (const Number& value : x) {
    if (std::isnan(Value(value))) return std::vector<Number>(x.size(), Number(NAN));
  }
  std::vector<Number> result;
  Number sum(0);
  for (const Number& value : x) {
    result.push_back(exp(value + Number(-maximum)));
    sum = sum + result.back();
  }
  for (Number& value : result) value = value / sum;
  return result;
}

bool IsSoftmaxOfAll(const RouteSpec& spec) {
  return spec.weight == Weight::kSoftmax || (spec.weight == Weight::kScore && spec.score == Score::kSoftmax);
}

bool IsShort(const NaiveLoss& loss, int slot) { return loss.ids[slot] < 0; }

template <typename Number>
std::vector<Number> ChosenLogits(const NaiveLoss& loss, const std::vector<Number>& logits) {
  std::vector<Number> chosen;
  for (const int32_t id : loss.ids) {
    if (id >= 0) chosen.push_back(logits[id]);
  }
  return chosen;
}

// Of slot s, before normalising; 0 in short slots and for what is no finite float.
template <typename Number>
std::vector<Number> Gathered(const NaiveLoss& loss, const std::vector<Number>& logits) {
  const RouteSpec& spec = loss.spec;
  std::vector<Number> values = ChosenLogits(loss, logits);
  if (IsSoftmaxOfAll(spec)) {
    values = ChosenLogits(loss, Softmax(logits));
  } else if (spec.weight == Weight::kSoftmaxOfSelected) {
    values = Softmax(values);
  } else {
    const bool sigmoid = spec.weight == Weight::kSigmoidOfSelected || spec.score == Score::kSigmoid;
    for (Number& value : values) {
      if (sigmoid) {
        value = Sigmoid(value);
      } else if (spec.score == Score::kSqrtSoftplus) {
        value = SqrtSoftplus(value);
      }
    }
  }
  std::vector<Number> slots;
  size_t next = 0;
  for (int slot = 0; slot < spec.top_k; ++slot) {
    Number value = IsShort(loss, slot) ? Number(0) : values[next++];
    if (spec.weight == Weight::kScore && spec.scale_before_bias) value = value * Number(spec.scale);
    const bool is_float = std::fabs(Value(value)) <= std::numeric_limits<float>::max();
    slots.push_back(is_float ? value : Number(0));
  }
  return slots;
}

template <typename Number>
std::vector<Number> Weights(const NaiveLoss& loss, const std::vector<Number>& logits) {
  const RouteSpec& spec = loss.spec;
  std::vector<Number> weights = Gathered(loss, logits);
  if (spec.normalize) {
    Number divisor(spec.normalize_epsilon);
    for (const Number& weight : weights) divisor = divisor + weight;
    const bool usable = std::fabs(Value(divisor)) <= std::numeric_limits<float>::max();
    if (Value(divisor) < spec.normalize_min) divisor = Number(spec.normalize_min);
    for (Number& weight : weights) weight = usable && Value(divisor) > 0 ? weight / divisor : Number(0);
  }
  if (!(spec.weight == Weight::kScore && spec.scale_before_bias)) {
    for (Number& weight : weights) weight = weight * Number(spec.scale);
  }
  return weights;
}

template <typename Number>
Number LossOf(const NaiveLoss& loss, const std::vector<Number>& logits) {
  const std::vector<Number> weights = Weights(loss, logits);
  Number sum(0);
  for (int slot = 0; slot < loss.spec.top_k; ++slot) {
    if (IsShort(loss, slot)) continue;
    const double gradient = loss.d_weights[slot] + loss.d_probabilities[loss.ids[slot]];
    sum = sum + weights[slot] * Number(gradient);
  }
  return sum;
}

}  // namespace

double NaiveLoss::Of(const std::vector<double>& logits) const { return LossOf(*this, logits); }

std::vector<double> GradientByDifferences(const NaiveLoss& loss, const std::vector<double>& logits) {
  std::vector<double> gradient(logits.size(), 0.0);
  std::vector<double> moved = logits;
  for (size_t e = 0; e < logits.size(); ++e) {
    if (!std::isfinite(logits[e])) continue;
    const double up = logits[e] + 1e-5;
    const double down = logits[e] - 1e-5;
    moved[e] = up;
    const double above = loss.Of(moved);
    moved[e] = down;
    gradient[e] = (above - loss.Of(moved)) / (up - down);
    moved[e] = logits[e];
  }
  return gradient;
}

std::vector<double> GradientByDuals(const NaiveLoss& loss, const std::vector<double>& logits) {
  std::vector<double> gradient(logits.size(), 0.0);
  std::vector<Dual> duals(logits.begin(), logits.end());
  for (size_t e = 0; e < logits.size(); ++e) {
    if (!std::isfinite(logits[e])) continue;
    duals[e].slope = 1;
    gradient[e] = LossOf(loss, duals).slope;
    duals[e].slope = 0;
  }
  return gradient;
}

std::vector<double> GradientScale(const NaiveLoss& loss, const std::vector<double>& logits) {
  const RouteSpec& spec = loss.spec;
  const std::vector<double> gathered = Gathered(loss, logits);
  double sum = spec.normalize_epsilon;
  double absolute_sum = 0;
  for (const double value : gathered) {
    sum += value;
    absolute_sum += std::fabs(value);
  }
  const bool by_sum = spec.normalize && sum >= spec.normalize_min;
  const double divisor = spec.normalize ? std::fmax(sum, spec.normalize_min) : 1;
  if (!(divisor > 0)) return std::vector<double>(logits.size(), 0.0);
  const double condition = by_sum ? std::fmax(1, absolute_sum / sum) : 1;
  const double scale = spec.weight == Weight::kScore && spec.scale_before_bias ? 1 : spec.scale;
  std::vector<double> incoming(spec.top_k, 0.0);
  double mean = 0;
  for (int slot = 0; slot < spec.top_k; ++slot) {
    if (IsShort(loss, slot)) continue;
    incoming[slot] = scale * std::fabs(loss.d_weights[slot] + loss.d_probabilities[loss.ids[slot]]);
    mean += incoming[slot] * std::fabs(gathered[slot]) / divisor;
  }
  const bool of_all = IsSoftmaxOfAll(spec);
  const bool softmax = of_all || spec.weight == Weight::kSoftmaxOfSelected;
  const std::vector<double> row = of_all ? Softmax(logits) : std::vector<double>(logits.size(), 0.0);
  std::vector<double> result(logits.size(), 0.0);
  // A mean of absolute values bounds the mean, its centring by itself twice over.
  for (size_t e = 0; e < logits.size(); ++e) result[e] = row[e] * 2 * mean * condition;
  for (int slot = 0; slot < spec.top_k; ++slot) {
    if (IsShort(loss, slot)) continue;
    const double terms = incoming[slot] + (by_sum ? mean : 0);
    const int32_t id = loss.ids[slot];
    if (softmax) {
      result[id] += condition * gathered[slot] * (terms / divisor + (of_all ? 0 : 2 * mean));
    } else {
      // The derivative of the gathered value, by the one way here that is not the contract's.
      NaiveLoss single = loss;
      single.spec.normalize = false;
      single.spec.scale = spec.weight == Weight::kScore && spec.scale_before_bias ? spec.scale : 1;
      single.d_weights.assign(spec.top_k, 0.0);
      single.d_probabilities.assign(spec.num_experts, 0.0);
      single.d_weights[slot] = 1;
      std::vector<Dual> duals(logits.begin(), logits.end());
      duals[id].slope = 1;
      result[id] += condition * std::fabs(LossOf(single, duals).slope) / divisor * terms;
    }
  }
  return result;
}

}  // namespace evenkeel::routing
