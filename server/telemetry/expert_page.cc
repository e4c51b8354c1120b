// The page of the experts.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "server/telemetry/page.h"

namespace evenkeel::telemetry {
namespace {

using prometheus::MetricFamily;
using Layer = ExpertView::Layer;
using Views = std::vector<std::shared_ptr<const ExpertView>>;

// Calls function(labels of the layer, layer) for each layer of each job.
template <typename Function>
void ForEachLayer(const Views& jobs, Function function) {
  for (const std::shared_ptr<const ExpertView>& job : jobs) {
    for (const Layer& layer : job->layers) function(LayerLabels(job->job, layer.name, layer.stream), layer);
  }
}

// What is not a number is left out.
template <typename Number>
MetricFamily AllFamily(MetricFamily family, std::vector<Number> Layer::*numbers, const Views& jobs) {
  ForEachLayer(jobs, [&](const Labels& of_layer, const Layer& layer) {
    for (size_t expert = 0; expert < (layer.*numbers).size(); ++expert) {
      const auto number = static_cast<double>((layer.*numbers)[expert]);
      if (std::isnan(number)) continue;
      Labels labels = of_layer;
      labels.push_back({"expert", absl::StrCat(expert)});
      family.metric.push_back(Value(number, std::move(labels)));
    }
  });
  return family;
}

Families AllFamilies(const Views& jobs) {
  Families page;
  page.push_back(AllFamily(Gauge("evenkeel_expert_load_ratio", "Count over wanted count, of the last commit."),
                           &Layer::load, jobs));
  page.push_back(AllFamily(Gauge("evenkeel_expert_bias", "The bias."), &Layer::bias, jobs));
  page.push_back(AllFamily(
      Counter("evenkeel_expert_tokens_total", "Assignments since the coordinator's start, or the job's last rewind."),
      &Layer::tokens_total, jobs));
  return page;
}

// The `top` fullest experts, or the emptiest: fullest (emptiest) first, of equal ones the lowest.
std::vector<int> Outermost(const std::vector<double>& load, int top, bool fullest) {
  std::vector<int> experts;
  for (size_t expert = 0; expert < load.size(); ++expert) {
    if (!std::isnan(load[expert])) experts.push_back(static_cast<int>(expert));
  }
  const auto last = experts.begin() + std::min<ptrdiff_t>(top, static_cast<ptrdiff_t>(experts.size()));
  std::partial_sort(experts.begin(), last, experts.end(), [&](int a, int b) {
    if (load[a] != load[b]) return fullest ? load[a] > load[b] : load[a] < load[b];
    return a < b;
  });
  experts.erase(last, experts.end());
  return experts;
}

// The expert is the value: with the place as the label, no series ever comes or goes.
void AddOutermost(const Views& jobs, int top, bool fullest, MetricFamily ids, MetricFamily loads, Families* page) {
  ForEachLayer(jobs, [&](const Labels& of_layer, const Layer& layer) {
    const std::vector<int> experts = Outermost(layer.load, top, fullest);
    for (size_t place = 0; place < experts.size(); ++place) {
      Labels labels = of_layer;
      labels.push_back({"rank", absl::StrCat(place + 1)});
      ids.metric.push_back(Value(experts[place], labels));
      loads.metric.push_back(Value(layer.load[experts[place]], std::move(labels)));
    }
  });
  page->push_back(std::move(ids));
  page->push_back(std::move(loads));
}

Families TopFamilies(const Views& jobs, int top) {
  Families page;
  AddOutermost(jobs, top, /*fullest=*/true,
               Gauge("evenkeel_expert_hot_id", "Number of the expert that is the fullest, of the last commit."),
               Gauge("evenkeel_expert_hot_load_ratio", "Its count over wanted count."), &page);
  AddOutermost(jobs, top, /*fullest=*/false,
               Gauge("evenkeel_expert_cold_id", "Number of the expert that is the emptiest, of the last commit."),
               Gauge("evenkeel_expert_cold_load_ratio", "Its count over wanted count."), &page);
  return page;
}

}  // namespace

std::string RenderExpertPage(const Views& jobs, const ExpertMode& mode) {
  switch (mode.kind) {
    case ExpertMode::Kind::kAll:
      return Serialize(AllFamilies(jobs));
    case ExpertMode::Kind::kTopK:
      return Serialize(TopFamilies(jobs, mode.top));
    default:
      return "";
  }
}

}  // namespace evenkeel::telemetry
