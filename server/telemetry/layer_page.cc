// What the page shows of each layer.

#include <cmath>

#include "server/telemetry/page.h"

namespace evenkeel::telemetry {
namespace {

using prometheus::MetricFamily;

// One number of each layer of each job, and of each stream where a layer has more than one. What is not a number is
// left out.
struct LayerMetric {
  const char* name;
  const char* help;
  double (*value)(const JobView::Layer& layer);
};

constexpr LayerMetric kLayerMetrics[] = {
    {"evenkeel_layer_max_violation_ratio", "Load of the fullest expert less 1, of the last commit.",
     [](const JobView::Layer& layer) { return layer.max_violation; }},
    {"evenkeel_layer_min_violation_ratio", "Load of the emptiest expert less 1, of the last commit.",
     [](const JobView::Layer& layer) { return layer.min_violation; }},
    {"evenkeel_layer_avg_violation_ratio", "Mean distance of the experts' loads from 1, of the last commit.",
     [](const JobView::Layer& layer) { return layer.avg_violation; }},
    {"evenkeel_layer_noise_floor_ratio",
     "The max_violation to be expected of a perfectly even router, at the tokens of the last commit.",
     [](const JobView::Layer& layer) { return layer.noise_floor; }},
    {"evenkeel_layer_load_cv_ratio", "Standard deviation of the experts' loads over their mean, of the last commit.",
     [](const JobView::Layer& layer) { return layer.load_cv; }},
    {"evenkeel_layer_load_entropy_ratio", "Entropy of the experts' loads over that of even ones, of the last commit.",
     [](const JobView::Layer& layer) { return layer.load_entropy; }},
    {"evenkeel_layer_window_max_violation_ratio", "As max_violation, of the counts of the last 64 commits together.",
     [](const JobView::Layer& layer) { return layer.window_max_violation; }},
    {"evenkeel_layer_window_min_violation_ratio", "As min_violation, of the counts of the last 64 commits together.",
     [](const JobView::Layer& layer) { return layer.window_min_violation; }},
    {"evenkeel_layer_window_avg_violation_ratio", "As avg_violation, of the counts of the last 64 commits together.",
     [](const JobView::Layer& layer) { return layer.window_avg_violation; }},
    {"evenkeel_layer_dead_experts", "Experts without a token in the last 64 commits.",
     [](const JobView::Layer& layer) { return layer.dead_experts; }},
    {"evenkeel_layer_starved_experts",
     "Experts with less than a tenth of the mean in the last 64 commits, the dead ones included.",
     [](const JobView::Layer& layer) { return layer.starved_experts; }},
    {"evenkeel_layer_bias_min", "Smallest bias.", [](const JobView::Layer& layer) { return layer.bias_min; }},
    {"evenkeel_layer_bias_max", "Largest bias.", [](const JobView::Layer& layer) { return layer.bias_max; }},
    {"evenkeel_layer_bias_stddev", "Standard deviation of the bias over the experts.",
     [](const JobView::Layer& layer) { return layer.bias_stddev; }},
    {"evenkeel_layer_bias_update_max", "The most that the last update moved an expert's bias by.",
     [](const JobView::Layer& layer) { return layer.bias_update_max; }},
    {"evenkeel_layer_sign_flip_ratio",
     "Share of the experts moved by the last two updates that were moved in opposite directions.",
     [](const JobView::Layer& layer) { return layer.sign_flip_ratio; }},
    {"evenkeel_layer_last_update_step", "Step that last moved the layer's bias; 0 before the first.",
     [](const JobView::Layer& layer) { return static_cast<double>(layer.last_update_step); }},
    {"evenkeel_layer_drop_ratio",
     "Assignments that a capacity limit dropped, of all that were routed, of the last commit; of layers that tell.",
     [](const JobView::Layer& layer) { return layer.drop_rate; }},
};

// Calls function(job, layer) for each layer of each job.
template <typename Function>
void ForEachLayer(const std::vector<JobSample>& jobs, Function function) {
  for (const JobSample& job : jobs) {
    if (job.view == nullptr) continue;
    for (const JobView::Layer& layer : job.view->layers) function(job.view->job, layer);
  }
}

MetricFamily LayerFamily(const LayerMetric& metric, const std::vector<JobSample>& jobs) {
  MetricFamily family = Gauge(metric.name, metric.help);
  ForEachLayer(jobs, [&](const std::string& job, const JobView::Layer& layer) {
    const double value = metric.value(layer);
    if (!std::isnan(value)) family.metric.push_back(Value(value, LayerLabels(job, layer.name, layer.stream)));
  });
  return family;
}

MetricFamily ReasonFamily(const std::vector<JobSample>& jobs) {
  MetricFamily family =
      Gauge("evenkeel_layer_update_reason", "Why the last commit moved the layer's bias or did not; always 1.");
  ForEachLayer(jobs, [&](const std::string& job, const JobView::Layer& layer) {
    if (layer.update_reason.empty()) return;
    family.metric.push_back(Value(1, LayerLabels(job, layer.name, layer.stream)));
    family.metric.back().label.push_back({"reason", layer.update_reason});
  });
  return family;
}

}  // namespace

void AddLayerFamilies(const std::vector<JobSample>& jobs, Families* page) {
  for (const LayerMetric& metric : kLayerMetrics) page->push_back(LayerFamily(metric, jobs));
  page->push_back(ReasonFamily(jobs));
}

}  // namespace evenkeel::telemetry
