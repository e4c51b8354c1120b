// What the page shows of the workers of each job: what they run on, and how they get on.

#include <cmath>

#include "server/telemetry/page.h"

namespace evenkeel::telemetry {
namespace {

using prometheus::MetricFamily;

MetricFamily InfoFamily(const std::vector<JobSample>& jobs) {
  MetricFamily family = Gauge("evenkeel_worker_info", "Contributors that run on this.");
  for (const JobSample& job : jobs) {
    if (job.view == nullptr) continue;
    for (const JobView::Workers& workers : job.view->workers) {
      Labels labels = {{"job", job.view->job}};
      for (const auto& [name, value] : workers.info) labels.push_back({name, value});
      family.metric.push_back(Value(workers.contributors, std::move(labels)));
    }
  }
  return family;
}

MetricFamily VersionFamily(const std::vector<JobSample>& jobs) {
  MetricFamily family =
      Gauge("evenkeel_worker_versions", "Different values among the job's contributors: more than 1 is a mix.");
  for (const JobSample& job : jobs) {
    if (job.view == nullptr) continue;
    for (const auto& [what, values] : job.view->worker_versions) {
      family.metric.push_back(Value(values, {{"job", job.view->job}, {"what", what}}));
    }
  }
  return family;
}

MetricFamily FigureFamily(MetricFamily family, double JobView::*figure, const std::vector<JobSample>& jobs) {
  for (const JobSample& job : jobs) {
    if (job.view == nullptr || std::isnan((*job.view).*figure)) continue;
    family.metric.push_back(Value((*job.view).*figure, {{"job", job.view->job}}));
  }
  return family;
}

}  // namespace

void AddWorkerFamilies(const std::vector<JobSample>& jobs, Families* page) {
  page->push_back(InfoFamily(jobs));
  page->push_back(VersionFamily(jobs));
  const auto add = [&](MetricFamily family, double JobView::*figure) {
    page->push_back(FigureFamily(std::move(family), figure, jobs));
  };
  add(Gauge("evenkeel_worker_staleness_steps",
            "Steps by which the bias that a worker routes with is older than the one due, the most over the workers."),
      &JobView::worker_staleness);
  add(Gauge("evenkeel_worker_undelivered_steps",
            "Steps that a worker has committed and the coordinator not yet, the most over the workers."),
      &JobView::worker_undelivered_steps);
  add(Counter("evenkeel_worker_lost_steps_total", "Steps whose counts workers have lost, over all that are here."),
      &JobView::worker_lost_steps_total);
  add(Gauge("evenkeel_worker_commit_host_seconds",
            "Time of a worker's trainer that a commit took, the most over the workers and their newest steps."),
      &JobView::worker_commit_host_seconds);
}

}  // namespace evenkeel::telemetry
