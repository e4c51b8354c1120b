#include "server/telemetry/metrics.h"

#include <atomic>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "prometheus/histogram.h"
#include "server/telemetry/job_sample.h"
#include "server/telemetry/page.h"
#include "server/telemetry/process_sample.h"
#include "server/telemetry/rpc_calls.h"

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
  ExpertViewSource experts;
  std::map<std::string, uint64_t> pushes;
  uint64_t record_errors = 0;
  prometheus::Histogram barrier_wait_seconds{kStepCommitBuckets};
  prometheus::Histogram step_commit_seconds{kStepCommitBuckets};
  prometheus::Histogram store_write_seconds{kStoreWriteBuckets};
};

int64_t CountExperts(const std::vector<std::shared_ptr<const ExpertView>>& jobs) {
  int64_t experts = 0;
  for (const std::shared_ptr<const ExpertView>& job : jobs) {
    for (const ExpertView::Layer& layer : job->layers) experts += static_cast<int64_t>(layer.bias.size());
  }
  return experts;
}

}  // namespace

// A scrape holds the mutex only while it copies numbers; views are made after it.
struct Metrics::Impl {
  explicit Impl(Options options) : options(std::move(options)) {}

  const Options options;
  RpcCalls calls;
  std::atomic<uint64_t> store_failures{0};
  mutable Mutex mutex;
  std::map<std::string, JobSeries, std::less<>> jobs ABSL_GUARDED_BY(mutex);
  // Of jobs that have no view.
  std::map<std::string, uint64_t> stray_pushes ABSL_GUARDED_BY(mutex);
  // As the log was last told.
  std::string told_mode ABSL_GUARDED_BY(mutex);
  // Held while it is called, so that it is not once it has been replaced.
  mutable Mutex connections_mutex;
  std::function<int()> connections ABSL_GUARDED_BY(connections_mutex);

  std::vector<JobSample> Samples() const {
    std::vector<JobSample> samples;
    std::vector<JobViewSource> views;
    {
      MutexLock lock(&mutex);
      samples.reserve(jobs.size() + 1);
      samples.emplace_back();
      samples.back().pushes = stray_pushes;
      for (const auto& [job, series] : jobs) {
        samples.push_back({nullptr, series.pushes, series.record_errors, series.barrier_wait_seconds.Collect(),
                           series.step_commit_seconds.Collect(), series.store_write_seconds.Collect()});
        views.push_back(series.view);
      }
    }
    for (size_t i = 0; i < views.size(); ++i) samples[i + 1].view = views[i]();
    return samples;
  }

  ProcessSample Process() const {
    ProcessSample sample;
    sample.figures = ReadProcessFigures();
    calls.Describe(&sample);
    if (!options.state_dir.empty()) sample.store_bytes = BytesIn(options.state_dir);
    sample.store_failures = store_failures;
    MutexLock lock(&connections_mutex);
    if (connections) sample.connections = connections();
    return sample;
  }

  std::vector<std::shared_ptr<const ExpertView>> Experts() const {
    std::vector<ExpertViewSource> sources;
    {
      MutexLock lock(&mutex);
      for (const auto& [job, series] : jobs) {
        if (series.experts) sources.push_back(series.experts);
      }
    }
    std::vector<std::shared_ptr<const ExpertView>> views;
    views.reserve(sources.size());
    for (const ExpertViewSource& source : sources) views.push_back(source());
    return views;
  }

  // What nobody has asked for is told, whenever it changes.
  void Tell(const ExpertMode& mode, int64_t experts) {
    if (options.experts.kind != ExpertMode::Kind::kChosen) return;
    {
      MutexLock lock(&mutex);
      if (std::exchange(told_mode, NameOf(mode)) == NameOf(mode)) return;
    }
    options.log(InfoEvent("expert_metrics_chosen",
                          absl::StrCat("/metrics/experts shows ", NameOf(mode), ": all experts would be ",
                                       experts * kSeriesOfAnExpert, " series, ", "and up to ", ExpertMode::kMostSeries,
                                       " are shown unless expert_metrics says else")));
  }
};

Metrics::Metrics() : Metrics(Options()) {}

Metrics::Metrics(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

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
  found->second.barrier_wait_seconds.Observe(barrier_seconds);
  found->second.step_commit_seconds.Observe(barrier_seconds + store_seconds);
  found->second.store_write_seconds.Observe(store_seconds);
}

void Metrics::CountRecordError(absl::string_view job) {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->jobs.find(job);
  if (found != impl_->jobs.end()) ++found->second.record_errors;
}

void Metrics::CountCall(absl::string_view method, absl::StatusCode code, std::optional<double> seconds) {
  impl_->calls.Count(method, code, seconds);
}

void Metrics::CountStoreFailure() { ++impl_->store_failures; }

void Metrics::SetConnections(std::function<int()> connections) {
  MutexLock lock(&impl_->connections_mutex);
  impl_->connections = std::move(connections);
}

void Metrics::Publish(const std::string& job, JobViewSource view, ExpertViewSource experts) {
  MutexLock lock(&impl_->mutex);
  JobSeries& series = impl_->jobs[job];
  series.view.swap(view);
  series.experts.swap(experts);
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

std::string Metrics::Text() const { return RenderPage(impl_->Samples(), impl_->Process()); }

std::string Metrics::ExpertText() const {
  if (impl_->options.experts.kind == ExpertMode::Kind::kOff) return "";
  const std::vector<std::shared_ptr<const ExpertView>> views = impl_->Experts();
  const int64_t experts = CountExperts(views);
  const ExpertMode mode = Resolve(impl_->options.experts, experts);
  impl_->Tell(mode, experts);
  return RenderExpertPage(views, mode);
}

}  // namespace evenkeel::telemetry
