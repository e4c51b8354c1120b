#include "server/core/layer_description.h"

#include <algorithm>
#include <numeric>

#include "absl/types/span.h"
#include "kernels/balance/load_metrics.h"

namespace evenkeel::core {
namespace {

using Counts = google::protobuf::RepeatedField<uint64_t>;

uint64_t Sum(const Counts& counts) { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }

void DescribeDrops(const v1::LayerState& layer, v1::LayerStatus* status) {
  const uint64_t routed = Sum(layer.last_counts());
  if (layer.last_dispatched().empty() || routed == 0) return;
  const uint64_t dropped = routed - Sum(layer.last_dispatched());
  status->set_drop_rate(static_cast<double>(dropped) / static_cast<double>(routed));
}

void DescribeLoad(const balance::LoadMetrics& load, v1::LayerStatus* status) {
  status->set_max_violation(load.max_violation);
  status->set_min_violation(load.min_violation);
  status->set_avg_violation(load.avg_violation);
  status->set_coefficient_of_variation(load.cv);
  status->set_normalized_entropy(load.entropy);
  status->set_dead_experts(load.dead);
  status->set_starved_experts(load.starved);
}

void DescribeBias(const v1::LayerState& layer, v1::LayerStatus* status) {
  const auto range = std::minmax_element(layer.bias().begin(), layer.bias().end());
  status->set_bias_min(*range.first);
  status->set_bias_max(*range.second);
}

}  // namespace

void DescribeLayers(const job::JobPlan& plan, const v1::JobState& state, v1::DescribeJobResponse* response) {
  for (int i = 0; i < plan.layers.size(); ++i) {
    const v1::LayerState& layer = state.layers(i);
    v1::LayerStatus* status = response->add_layers();
    status->set_name(layer.layer());
    status->set_stream(layer.stream());
    status->set_num_experts(plan.layers[i].num_experts);
    status->set_top_k(plan.layers[i].top_k);
    status->set_last_reason(layer.last_reason());
    status->set_last_update(layer.last_update());
    DescribeLoad(balance::ComputeLoadMetrics(absl::MakeSpan(layer.last_counts()), plan.balance[i].target), status);
    DescribeDrops(layer, status);
    DescribeBias(layer, status);
  }
}

}  // namespace evenkeel::core
