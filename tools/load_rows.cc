#include "tools/load_rows.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

#include "base/status_macros.h"
#include "job/job_plan.h"
#include "tools/layer_names.h"

namespace evenkeel::tools {

std::vector<float> LoadsOf(absl::Span<const uint64_t> counts, absl::Span<const float> target) {
  const double sum = std::accumulate(counts.begin(), counts.end(), 0.0,
                                     [](double so_far, uint64_t count) { return so_far + static_cast<double>(count); });
  std::vector<float> loads;
  loads.reserve(counts.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    const double wanted = sum * (target.empty() ? 1.0 / static_cast<double>(counts.size()) : double{target[i]});
    loads.push_back(wanted > 0 ? static_cast<float>(static_cast<double>(counts[i]) / wanted)
                               : std::numeric_limits<float>::quiet_NaN());
  }
  return loads;
}

absl::StatusOr<std::vector<LoadRow>> LoadRowsOf(const v1::JobState& state) {
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanStoredJob(state.spec(), state.fingerprint()));
  std::vector<LoadRow> rows;
  for (int i = 0; i < plan.layers.size(); ++i) {
    const v1::LayerState& layer = state.layers(i);
    LoadRow row;
    row.layer = layer.layer();
    row.stream = static_cast<int>(layer.stream());
    row.top_k = plan.layers[i].top_k;
    row.tokens = layer.last_tokens();
    row.counts.assign(layer.last_counts().begin(), layer.last_counts().end());
    row.loads = LoadsOf(row.counts, plan.balance[i].target);
    row.bias.assign(layer.bias().begin(), layer.bias().end());
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const LoadRow& a, const LoadRow& b) { return NaturalLess(a.layer, b.layer); });
  return rows;
}

}  // namespace evenkeel::tools
