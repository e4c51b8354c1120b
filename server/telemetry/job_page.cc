// What the page shows of each job.

#include "absl/strings/str_cat.h"
#include "server/telemetry/page.h"

namespace evenkeel::telemetry {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

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
    {"evenkeel_worker_lag_steps", MetricType::Gauge,
     "Steps before the open one that a contributor which has joined took no part in, the most over the contributors.",
     [](const JobView& view) { return static_cast<double>(view.lag_steps); }},
    {"evenkeel_ranks_reporting", MetricType::Gauge, "Ranks of the contributors that took part in the last commit.",
     [](const JobView& view) { return static_cast<double>(view.ranks_reporting); }},
    {"evenkeel_ranks", MetricType::Gauge, "Ranks of the job, as far as it has been told.",
     [](const JobView& view) { return static_cast<double>(view.ranks); }},
};

MetricFamily JobFamily(const JobMetric& metric, const std::vector<JobSample>& jobs) {
  MetricFamily family{metric.name, metric.help, metric.type, {}};
  for (const JobSample& job : jobs) {
    if (job.view != nullptr) family.metric.push_back(Value(metric.value(*job.view), {{"job", job.view->job}}));
  }
  return family;
}

// A number for each of a few words.
template <typename Number>
MetricFamily WordFamily(MetricFamily family, const char* label, std::map<std::string, Number> JobView::*numbers,
                        const std::vector<JobSample>& jobs) {
  for (const JobSample& job : jobs) {
    if (job.view == nullptr) continue;
    for (const auto& [word, number] : (*job.view).*numbers) {
      family.metric.push_back(Value(static_cast<double>(number), {{"job", job.view->job}, {label, word}}));
    }
  }
  return family;
}

// The contributor is the value: a label would make a series for each that was ever slow.
MetricFamily StragglerFamily(const std::vector<JobSample>& jobs) {
  MetricFamily family = Gauge("evenkeel_straggler_contributor",
                              "Number of a contributor that the open step waits for beyond its straggler deadline.");
  for (const JobSample& job : jobs) {
    if (job.view == nullptr) continue;
    for (size_t place = 0; place < job.view->stragglers.size(); ++place) {
      family.metric.push_back(
          Value(job.view->stragglers[place], {{"job", job.view->job}, {"place", absl::StrCat(place + 1)}}));
    }
  }
  return family;
}

MetricFamily PushFamily(const std::vector<JobSample>& jobs) {
  MetricFamily family = Counter("evenkeel_pushes_total", "Pushes, by what became of them.");
  for (const JobSample& job : jobs) {
    const std::string name = job.view == nullptr ? "" : job.view->job;
    for (const auto& [result, count] : job.pushes) {
      family.metric.push_back(Value(static_cast<double>(count), {{"job", name}, {"result", result}}));
    }
  }
  return family;
}

MetricFamily RecordErrorFamily(const std::vector<JobSample>& jobs) {
  MetricFamily family =
      Counter("evenkeel_record_errors_total", "Times that the record of the job could not go on, and got a gap.");
  for (const JobSample& job : jobs) {
    if (job.view == nullptr) continue;
    family.metric.push_back(Value(static_cast<double>(job.record_errors), {{"job", job.view->job}}));
  }
  return family;
}

MetricFamily HistogramFamily(const char* name, const char* help, ClientMetric JobSample::*histogram,
                             const std::vector<JobSample>& jobs) {
  MetricFamily family{name, help, MetricType::Histogram, {}};
  for (const JobSample& job : jobs) {
    if (job.view == nullptr) continue;
    family.metric.push_back(job.*histogram);
    family.metric.back().label = {{"job", job.view->job}};
  }
  return family;
}

}  // namespace

void AddJobFamilies(const std::vector<JobSample>& jobs, Families* page) {
  for (const JobMetric& metric : kJobMetrics) page->push_back(JobFamily(metric, jobs));
  page->push_back(WordFamily(Gauge("evenkeel_contributors", "Contributors, by what they are to the open step."),
                             "state", &JobView::contributors_by_state, jobs));
  page->push_back(StragglerFamily(jobs));
  page->push_back(
      WordFamily(Counter("evenkeel_invariant_failures_total", "Things that cannot be right, by the invariant."),
                 "invariant", &JobView::invariant_failures_total, jobs));
  page->push_back(WordFamily(
      Counter("evenkeel_updates_skipped_total", "Updates of layers that commits did not make, by the reason."),
      "reason", &JobView::skipped_updates_total, jobs));
  page->push_back(PushFamily(jobs));
  page->push_back(RecordErrorFamily(jobs));
  page->push_back(HistogramFamily("evenkeel_barrier_wait_seconds", "From the first push of a step to its last.",
                                  &JobSample::barrier_wait_seconds, jobs));
  page->push_back(HistogramFamily("evenkeel_step_commit_seconds",
                                  "From the first push of a step to its commit, the write to disk included.",
                                  &JobSample::step_commit_seconds, jobs));
  page->push_back(HistogramFamily("evenkeel_store_write_seconds", "The write of a commit to disk.",
                                  &JobSample::store_write_seconds, jobs));
}

}  // namespace evenkeel::telemetry
