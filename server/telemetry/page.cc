#include "server/telemetry/page.h"

#include <cmath>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace evenkeel::telemetry {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr char kVersion[] = "0.1.0";
#if defined(__clang__)
constexpr char kCompiler[] = "clang " __clang_version__;
#else
constexpr char kCompiler[] = "gcc " __VERSION__;
#endif

// One number of each job.
struct JobMetric {
  const char* name;
  MetricType type;
  const char* help;
  double (*value)(const JobView& view);
};

constexpr JobMetric kJobMetrics[] = {
    {"evenkeel_job_step", MetricType::Gauge, "Newest committed step.",
     [](const JobView& view) { return static_cast<double>(view.step); }},
    {"evenkeel_job_epoch", MetricType::Gauge, "The coordinator's life number for the job.",
     [](const JobView& view) { return static_cast<double>(view.epoch); }},
    {"evenkeel_job_contributors", MetricType::Gauge, "Contributors that the job was made for.",
     [](const JobView& view) { return static_cast<double>(view.contributors); }},
    {"evenkeel_job_joined", MetricType::Gauge, "Contributors that have joined since the coordinator's start.",
     [](const JobView& view) { return static_cast<double>(view.joined); }},
    {"evenkeel_job_tokens_total", MetricType::Counter, "Valid tokens of all steps since the coordinator's start.",
     [](const JobView& view) { return static_cast<double>(view.tokens_total); }},
    {"evenkeel_staleness_steps", MetricType::Gauge,
     "Steps by which what routed the last committed step was older than what was due, the most over its contributors.",
     [](const JobView& view) { return static_cast<double>(view.staleness); }},
    {"evenkeel_stale_commits_total", MetricType::Counter,
     "Committed steps that a contributor had routed with an older version than the one due.",
     [](const JobView& view) { return static_cast<double>(view.stale_commits_total); }},
    {"evenkeel_lost_contributions_total", MetricType::Counter,
     "Contributions to committed steps that their contributors could not keep until they were delivered.",
     [](const JobView& view) { return static_cast<double>(view.lost_contributions_total); }},
    {"evenkeel_missing_contributions_total", MetricType::Counter,
     "Contributions that steps were committed without, because their contributors were lost, late, or had left.",
     [](const JobView& view) { return static_cast<double>(view.missing_contributions_total); }},
    {"evenkeel_bias_hash_mismatch_total", MetricType::Counter,
     "Committed steps that a rank had routed with another bias than the one that was sent there.",
     [](const JobView& view) {
       const auto found = view.invariant_failures_total.find("bias_differs");
       return found == view.invariant_failures_total.end() ? 0 : static_cast<double>(found->second);
     }},
    {"evenkeel_job_halted", MetricType::Gauge, "1 while no layer moves because an invariant was violated, else 0.",
     [](const JobView& view) { return view.halted ? 1.0 : 0.0; }},
    {"evenkeel_job_failed", MetricType::Gauge, "1 while processes are to end because contributors are missing, else 0.",
     [](const JobView& view) { return view.failed ? 1.0 : 0.0; }},
};

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
    {"evenkeel_layer_last_update_step", "Step that last moved the layer's bias; 0 before the first.",
     [](const JobView::Layer& layer) { return static_cast<double>(layer.last_update_step); }},
    {"evenkeel_layer_drop_ratio",
     "Assignments that a capacity limit dropped, of all that were routed, of the last commit; of layers that tell.",
     [](const JobView::Layer& layer) { return layer.drop_rate; }},
};

// A sample of a counter or a gauge: the serializer reads the member that the family's type names.
ClientMetric Value(double value, std::vector<ClientMetric::Label> labels) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  metric.counter.value = value;
  return metric;
}

MetricFamily BuildInfo() {
  return {"evenkeel_build_info",
          "The program itself; always 1.",
          MetricType::Gauge,
          {Value(1, {{"version", kVersion}, {"compiler", kCompiler}})}};
}

MetricFamily JobFamily(const JobMetric& metric, const std::vector<JobSample>& samples) {
  MetricFamily family{metric.name, metric.help, metric.type, {}};
  for (const JobSample& sample : samples) {
    if (sample.view == nullptr) continue;
    family.metric.push_back(Value(metric.value(*sample.view), {{"job", sample.view->job}}));
  }
  return family;
}

MetricFamily LayerFamily(const LayerMetric& metric, const std::vector<JobSample>& samples) {
  MetricFamily family{metric.name, metric.help, MetricType::Gauge, {}};
  for (const JobSample& sample : samples) {
    if (sample.view == nullptr) continue;
    for (const JobView::Layer& layer : sample.view->layers) {
      const double value = metric.value(layer);
      if (std::isnan(value)) continue;
      family.metric.push_back(Value(value, {{"job", sample.view->job}, {"layer", layer.name}}));
      if (!layer.stream.empty()) family.metric.back().label.push_back({"stream", layer.stream});
    }
  }
  return family;
}

MetricFamily ContributorFamily(const std::vector<JobSample>& samples) {
  MetricFamily family{
      "evenkeel_contributors", "Contributors, by what they are to the open step.", MetricType::Gauge, {}};
  for (const JobSample& sample : samples) {
    if (sample.view == nullptr) continue;
    for (const auto& [state, count] : sample.view->contributors_by_state) {
      family.metric.push_back(Value(count, {{"job", sample.view->job}, {"state", state}}));
    }
  }
  return family;
}

// The contributor is the value: a label would make a series for each that was ever slow.
MetricFamily StragglerFamily(const std::vector<JobSample>& samples) {
  MetricFamily family{"evenkeel_straggler_contributor",
                      "Number of a contributor that the open step waits for beyond its straggler deadline.",
                      MetricType::Gauge,
                      {}};
  for (const JobSample& sample : samples) {
    if (sample.view == nullptr) continue;
    for (size_t place = 0; place < sample.view->stragglers.size(); ++place) {
      family.metric.push_back(
          Value(sample.view->stragglers[place], {{"job", sample.view->job}, {"place", absl::StrCat(place + 1)}}));
    }
  }
  return family;
}

MetricFamily PushFamily(const std::vector<JobSample>& samples) {
  MetricFamily family{"evenkeel_pushes_total", "Pushes, by what became of them.", MetricType::Counter, {}};
  for (const JobSample& sample : samples) {
    const std::string job = sample.view == nullptr ? "" : sample.view->job;
    for (const auto& [result, count] : sample.pushes) {
      family.metric.push_back(Value(static_cast<double>(count), {{"job", job}, {"result", result}}));
    }
  }
  return family;
}

MetricFamily RecordErrorFamily(const std::vector<JobSample>& samples) {
  MetricFamily family{"evenkeel_record_errors_total",
                      "Times that the record of the job could not go on, and got a gap.",
                      MetricType::Counter,
                      {}};
  for (const JobSample& sample : samples) {
    if (sample.view == nullptr) continue;
    family.metric.push_back(Value(static_cast<double>(sample.record_errors), {{"job", sample.view->job}}));
  }
  return family;
}

MetricFamily InvariantFamily(const std::vector<JobSample>& samples) {
  MetricFamily family{
      "evenkeel_invariant_failures_total", "Things that cannot be right, by the invariant.", MetricType::Counter, {}};
  for (const JobSample& sample : samples) {
    if (sample.view == nullptr) continue;
    for (const auto& [invariant, count] : sample.view->invariant_failures_total) {
      family.metric.push_back(Value(static_cast<double>(count), {{"job", sample.view->job}, {"invariant", invariant}}));
    }
  }
  return family;
}

MetricFamily HistogramFamily(const char* name, const char* help, ClientMetric JobSample::*histogram,
                             const std::vector<JobSample>& samples) {
  MetricFamily family{name, help, MetricType::Histogram, {}};
  for (const JobSample& sample : samples) {
    if (sample.view == nullptr) continue;
    family.metric.push_back(sample.*histogram);
    family.metric.back().label = {{"job", sample.view->job}};
  }
  return family;
}

}  // namespace

std::string RenderPage(const std::vector<JobSample>& samples) {
  std::vector<MetricFamily> families = {BuildInfo()};
  for (const JobMetric& metric : kJobMetrics) families.push_back(JobFamily(metric, samples));
  families.push_back(ContributorFamily(samples));
  families.push_back(StragglerFamily(samples));
  families.push_back(InvariantFamily(samples));
  families.push_back(PushFamily(samples));
  families.push_back(RecordErrorFamily(samples));
  families.push_back(HistogramFamily("evenkeel_step_commit_seconds",
                                     "From the first push of a step to its commit, the write to disk included.",
                                     &JobSample::step_commit_seconds, samples));
  families.push_back(HistogramFamily("evenkeel_store_write_seconds", "The write of a commit to disk.",
                                     &JobSample::store_write_seconds, samples));
  for (const LayerMetric& metric : kLayerMetrics) families.push_back(LayerFamily(metric, samples));
  std::ostringstream page;
  prometheus::TextSerializer().Serialize(page, families);
  return page.str();
}

}  // namespace evenkeel::telemetry
