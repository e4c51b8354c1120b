#include "kernels/balance/gauge.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/balance/check.h"

namespace evenkeel::balance {

double OffCentre(absl::Span<const double> bias, absl::Span<const float> target) {
  Check(target.empty() || target.size() == bias.size(), "target has an entry for each expert");
  double sum = 0;
  double largest = 0;
  size_t movers = 0;
  for (size_t i = 0; i < bias.size(); ++i) {
    largest = std::max(largest, std::fabs(bias[i]));
    if (!target.empty() && target[i] < 0) continue;
    sum += bias[i];
    ++movers;
  }
  if (movers == 0) return 0;
  const double mean = sum / static_cast<double>(movers);
  return std::fabs(mean) <= 0x1p-24 * largest ? 0 : mean;
}

std::vector<float> Recentred(absl::Span<const double> bias, absl::Span<const float> target) {
  const double mean = OffCentre(bias, target);
  std::vector<float> centred(bias.size());
  for (size_t i = 0; i < bias.size(); ++i) centred[i] = static_cast<float>(bias[i] - mean);
  return centred;
}

double PositiveOffset(absl::Span<const float> bias) {
  if (bias.empty()) return 0;
  const double least = *std::min_element(bias.begin(), bias.end());
  return std::max(0.0, kLeastPositiveBias - least);
}

std::vector<float> Shifted(absl::Span<const float> bias, double offset) {
  std::vector<float> shifted(bias.size());
  for (size_t i = 0; i < bias.size(); ++i) shifted[i] = static_cast<float>(bias[i] + offset);
  return shifted;
}

}  // namespace evenkeel::balance
