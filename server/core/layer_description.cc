#include "server/core/layer_description.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/types/span.h"
#include "kernels/balance/load_metrics.h"
#include "kernels/balance/noise_floor.h"

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
  const double mean = std::accumulate(layer.bias().begin(), layer.bias().end(), 0.0) / layer.bias_size();
  double squares = 0;
  for (const float bias : layer.bias()) squares += (bias - mean) * (bias - mean);
  status->set_bias_stddev(std::sqrt(squares / layer.bias_size()));
}

// Of row `row`, for which a row before it stands if it is alike.
double NoiseFloorOf(const job::JobPlan& plan, const v1::JobState& state, int row,
                    const v1::DescribeJobResponse& described) {
  const uint64_t tokens = state.layers(row).last_tokens();
  const job::LayerTable::Row& layer = plan.layers[row];
  if (row > 0 && layer.num_experts == plan.layers[row - 1].num_experts && layer.top_k == plan.layers[row - 1].top_k &&
      tokens == state.layers(row - 1).last_tokens() && plan.balance[row].target == plan.balance[row - 1].target) {
    return described.layers(row - 1).noise_floor();
  }
  return balance::NoiseFloor(layer.num_experts, layer.top_k, tokens, plan.balance[row].target);
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
    status->set_noise_floor(NoiseFloorOf(plan, state, i, *response));
  }
}

}  // namespace evenkeel::core
