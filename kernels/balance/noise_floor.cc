#include "kernels/balance/noise_floor.h"

#include <algorithm>
#include <cmath>

#include "kernels/balance/check.h"

namespace evenkeel::balance {
namespace {

// Of the largest of n independent standard normal variables.
struct Maximum {
  double mean = 0;
  double mean_square = 0;
};

// The density n * phi(z) * Phi(z)^(n-1), summed at equal distances: for one that is smooth and falls off as fast, that
// is exact to many digits.
Maximum MaximumOfNormals(int n) {
  constexpr double kSqrtHalf = 0.70710678118654752;
  constexpr double kStep = 0.25;
  Maximum maximum;
  double sum = 0;
  for (double z = -6; z <= 9; z += kStep) {
    const double density = std::exp(-z * z / 2 + (n - 1) * std::log(std::erfc(-z * kSqrtHalf) / 2));
    sum += density;
    maximum.mean += z * density;
    maximum.mean_square += z * z * density;
  }
  maximum.mean /= sum;
  maximum.mean_square /= sum;
  return maximum;
}

// Of one expert's count: deviation over mean, and skewness, as the experts have them on average.
struct Scatter {
  int experts = 0;
  double relative_deviation = 0;
  double skewness = 0;
};

// A count is binomial: a token takes the expert, or it does not.
Scatter ScatterOf(int num_experts, int top_k, double tokens, absl::Span<const float> target) {
  Scatter scatter;
  double variances = 0;
  double skewnesses = 0;
  for (int i = 0; i < num_experts; ++i) {
    if (!target.empty() && !(target[i] > 0)) continue;
    const double share = target.empty() ? 1.0 / num_experts : target[i];
    const double chance = std::min(1.0, top_k * share);
    ++scatter.experts;
    variances += (1 - chance) / (chance * tokens);
    if (chance < 1) skewnesses += (1 - 2 * chance) / std::sqrt(chance * (1 - chance) * tokens);
    if (!target.empty()) continue;
    // All are alike.
    return {num_experts, std::sqrt(variances), skewnesses};
  }
  if (scatter.experts == 0) return scatter;
  scatter.relative_deviation = std::sqrt(variances / scatter.experts);
  scatter.skewness = skewnesses / scatter.experts;
  return scatter;
}

}  // namespace

double NoiseFloor(int num_experts, int top_k, uint64_t tokens, absl::Span<const float> target) {
  Check(target.empty() || target.size() == static_cast<size_t>(num_experts), "experts have the size of the target");
  if (tokens == 0) return 0;
  const Scatter scatter = ScatterOf(num_experts, top_k, static_cast<double>(tokens), target);
  if (scatter.experts < 2 || scatter.relative_deviation == 0) return 0;
  const Maximum maximum = MaximumOfNormals(scatter.experts);
  // What one expert has too much, the others have too little: deviations from their common mean are those of
  // independent variables that are wider by so much.
  const double wider = std::sqrt(scatter.experts / (scatter.experts - 1.0));
  // Cornish and Fisher's first term.
  const double skewed = scatter.skewness / 6 * (maximum.mean_square - 1);
  return scatter.relative_deviation * (wider * maximum.mean + skewed);
}

}  // namespace evenkeel::balance
