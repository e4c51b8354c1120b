#include "server/telemetry/metrics.h"

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "prometheus/histogram.h"
#include "server/telemetry/job_sample.h"
#include "server/telemetry/page.h"

namespace evenkeel::telemetry {
namespace {

// Upper bounds in seconds. A step commits within a millisecond on one machine and in tens of seconds when a worker is
// slow; a disk that is fit for the work writes in less than ten milliseconds.
const prometheus::Histogram::BucketBoundaries kStepCommitBuckets = {.001, .0025, .005, .01, .025, .05, .1, .25,
                                                                    .5,   1,     2.5,  5,   10,   30,  60};
const prometheus::Histogram::BucketBoundaries kStoreWriteBuckets = {.00025, .0005, .001, .0025, .005, .01,
                                                                    .025,   .05,   .1,   .25,   1};

// What is kept of one job.
struct JobSeries {
  JobViewSource view;
  std::map<std::string, uint64_t> pushes;
  uint64_t record_errors = 0;
  prometheus::Histogram step_commit_seconds{kStepCommitBuckets};
  prometheus::Histogram store_write_seconds{kStoreWriteBuckets};
};

}  // namespace

// A scrape holds the mutex only while it copies numbers; views are made after it.
struct Metrics::Impl {
  mutable Mutex mutex;
  std::map<std::string, JobSeries, std::less<>> jobs ABSL_GUARDED_BY(mutex);
  // Of jobs that have no view.
  std::map<std::string, uint64_t> stray_pushes ABSL_GUARDED_BY(mutex);

  std::vector<JobSample> Samples() const {
    std::vector<JobSample> samples;
    std::vector<JobViewSource> views;
    {
      MutexLock lock(&mutex);
      samples.reserve(jobs.size() + 1);
      samples.push_back({nullptr, stray_pushes, /*record_errors=*/0, {}, {}});
      for (const auto& [job, series] : jobs) {
        samples.push_back({nullptr, series.pushes, series.record_errors, series.step_commit_seconds.Collect(),
                           series.store_write_seconds.Collect()});
        views.push_back(series.view);
      }
    }
    for (size_t i = 0; i < views.size(); ++i) samples[i + 1].view = views[i]();
    return samples;
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}

Metrics::~Metrics() = default;

void Metrics::CountPush(absl::string_view job, absl::string_view result) {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->jobs.find(job);
  ++(found == impl_->jobs.end() ? impl_->stray_pushes : found->second.pushes)[std::string(result)];
}

void Metrics::ObserveCommit(absl::string_view job, double barrier_seconds, double store_seconds) {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->jobs.find(job);
  if (found == impl_->jobs.end()) return;
  found->second.step_commit_seconds.Observe(barrier_seconds);
  found->second.store_write_seconds.Observe(store_seconds);
}

void Metrics::CountRecordError(absl::string_view job) {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->jobs.find(job);
  if (found != impl_->jobs.end()) ++found->second.record_errors;
}

void Metrics::Publish(const std::string& job, JobViewSource source) {
  MutexLock lock(&impl_->mutex);
  impl_->jobs[job].view.swap(source);
}

void Metrics::Publish(std::shared_ptr<const JobView> view) {
  const std::string job = view->job;
  Publish(job, [view = std::move(view)] { return view; });
}

void Metrics::Remove(absl::string_view job) {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->jobs.find(job);
  if (found != impl_->jobs.end()) impl_->jobs.erase(found);
}

std::string Metrics::Text() const { return RenderPage(impl_->Samples()); }

}  // namespace evenkeel::telemetry
