#include "kernels/balance/load_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/balance/check.h"

namespace evenkeel::balance {
namespace {

constexpr double kStarvedLoad = 0.1;

double Total(absl::Span<const uint64_t> counts) {
  double total = 0;
  for (const uint64_t count : counts) total += static_cast<double>(count);
  return total;
}

// Calls function(count, load) for each expert that has a wanted count.
template <typename Function>
void ForEachLoad(absl::Span<const uint64_t> counts, absl::Span<const float> target, double sum, Function function) {
  for (size_t i = 0; i < counts.size(); ++i) {
    if (!target.empty() && !(target[i] > 0)) continue;
    const double wanted = target.empty() ? sum / static_cast<double>(counts.size()) : target[i] * sum;
    function(counts[i], static_cast<double>(counts[i]) / wanted);
  }
}

struct LoadMoments {
  int experts = 0;
  double sum = 0;
  double sum_of_deviations = 0;  // |load - 1|
  double min = std::numeric_limits<double>::infinity();
  double max = 0;
};

}  // namespace

LoadMetrics ComputeLoadMetrics(absl::Span<const uint64_t> counts, absl::Span<const float> target) {
  Check(target.empty() || target.size() == counts.size(), "counts have the size of the target");
  LoadMetrics metrics;
  const double total = Total(counts);
  if (total == 0) return metrics;

  LoadMoments loads;
  ForEachLoad(counts, target, total, [&](uint64_t count, double load) {
    ++loads.experts;
    loads.sum += load;
    loads.sum_of_deviations += std::abs(load - 1);
    loads.min = std::min(loads.min, load);
    loads.max = std::max(loads.max, load);
    metrics.dead += count == 0;
    metrics.starved += load < kStarvedLoad;
  });
  if (loads.experts == 0) return metrics;
  metrics.max_violation = loads.max - 1;
  metrics.min_violation = loads.min - 1;
  metrics.avg_violation = loads.sum_of_deviations / loads.experts;
  if (loads.sum == 0) return metrics;

  const double mean = loads.sum / loads.experts;
  double squares = 0;
  double entropy = 0;
  ForEachLoad(counts, target, total, [&](uint64_t, double load) {
    squares += (load - mean) * (load - mean);
    const double share = load / loads.sum;
    if (share > 0) entropy -= share * std::log(share);
  });
  metrics.cv = std::sqrt(squares / loads.experts) / mean;
  metrics.entropy = loads.experts == 1 ? 1 : std::min(1.0, entropy / std::log(loads.experts));
  return metrics;
}

double MaxViolation(absl::Span<const uint64_t> counts, absl::Span<const float> target) {
  Check(target.empty() || target.size() == counts.size(), "counts have the size of the target");
  const double total = Total(counts);
  if (total == 0) return 0;
  if (target.empty()) {
    // The same divisor for all, and a rounded quotient never falls as the dividend grows.
    const uint64_t most = *std::max_element(counts.begin(), counts.end());
    return static_cast<double>(most) / (total / static_cast<double>(counts.size())) - 1;
  }
  double max = -1;
  ForEachLoad(counts, target, total, [&](uint64_t, double load) { max = std::max(max, load); });
  return max < 0 ? 0 : max - 1;
}

Violations ComputeViolations(absl::Span<const uint64_t> counts, absl::Span<const float> target) {
  Check(target.empty() || target.size() == counts.size(), "counts have the size of the target");
  if (!target.empty()) {
    const LoadMetrics metrics = ComputeLoadMetrics(counts, target);
    return {metrics.max_violation, metrics.avg_violation};
  }
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (total == 0) return {};
  // In integers, which need not be added one after the other. What some counts are above the mean, others are below it.
  const uint64_t floor_of_mean = total / counts.size();
  uint64_t most = 0;
  uint64_t above = 0;
  uint64_t sum_above = 0;
  for (const uint64_t count : counts) {
    const bool is_above = count > floor_of_mean;
    most = std::max(most, count);
    above += is_above;
    sum_above += is_above ? count : 0;
  }
  const double mean = static_cast<double>(total) / static_cast<double>(counts.size());
  const double excess = static_cast<double>(sum_above) - mean * static_cast<double>(above);
  return {static_cast<double>(most) / mean - 1, 2 * excess / static_cast<double>(total)};
}

void ComputeLoads(absl::Span<const uint64_t> counts, absl::Span<const float> target, absl::Span<double> loads) {
  Check(target.empty() || target.size() == counts.size(), "counts have the size of the target");
  const double total = Total(counts);
  for (size_t i = 0; i < loads.size(); ++i) {
    const double share = target.empty() ? 1 / static_cast<double>(loads.size()) : target[i];
    const double count = total == 0 ? 0 : static_cast<double>(counts[i]);
    loads[i] = share > 0 ? count / (share * std::max(total, 1.0)) : std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace evenkeel::balance
