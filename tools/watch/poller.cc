#include "tools/watch/poller.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "tools/standouts.h"
#include "tools/state_call.h"

namespace evenkeel::tools {
namespace {

std::vector<std::string> TroubleFirst(const v1::ListJobsResponse& response) {
  std::vector<const v1::JobSummary*> jobs;
  for (const v1::JobSummary& job : response.jobs()) jobs.push_back(&job);
  std::stable_partition(jobs.begin(), jobs.end(), [](const v1::JobSummary* job) { return IsInTrouble(*job); });
  std::vector<std::string> names;
  for (const v1::JobSummary* job : jobs) names.push_back(job->name());
  return names;
}

}  // namespace

WatchCaller::WatchCaller(const CoordinatorOptions& options, bool with_loads)
    : options_(options), with_loads_(with_loads) {}

absl::Status WatchCaller::Fill(const std::string& job, WatchAnswer* answer) {
  std::shared_ptr<CoordinatorCaller> caller;
  {
    MutexLock lock(&mutex_);
    if (is_cancelled_) return absl::CancelledError("the watch has ended");
    if (caller_ == nullptr) caller_ = std::make_shared<CoordinatorCaller>(options_);
    caller = caller_;
  }
  using Stub = v1::BiasCoordinator::Stub;
  v1::ListJobsResponse jobs;
  EVENKEEL_RETURN_IF_ERROR(caller->Call(&Stub::ListJobs, v1::ListJobsRequest(), &jobs));
  answer->jobs = TroubleFirst(jobs);
  answer->job = !job.empty() ? job : answer->jobs.empty() ? "" : answer->jobs[0];
  if (answer->job.empty()) return absl::OkStatus();
  v1::DescribeJobRequest request;
  request.set_job(answer->job);
  EVENKEEL_RETURN_IF_ERROR(caller->Call(&Stub::DescribeJob, request, &answer->description));
  if (!with_loads_ || answer->description.summary().version().step() == 0) return absl::OkStatus();
  const absl::StatusOr<v1::JobState> state = CallForState(caller.get(), answer->job);
  if (!state.ok()) return absl::IsPermissionDenied(state.status()) ? absl::OkStatus() : state.status();
  EVENKEEL_ASSIGN_OR_RETURN(answer->rows, LoadRowsOf(*state));
  answer->loads_step = state->version().step();
  return absl::OkStatus();
}

WatchAnswer WatchCaller::Ask(const std::string& job) {
  WatchAnswer answer;
  answer.status = Fill(job, &answer);
  MutexLock lock(&mutex_);
  if (!answer.status.ok()) caller_ = nullptr;
  return answer;
}

void WatchCaller::Cancel() {
  MutexLock lock(&mutex_);
  is_cancelled_ = true;
  if (caller_ != nullptr) caller_->Cancel();
}

WatchPoller::WatchPoller(const CoordinatorOptions& options, absl::Duration interval, std::string job)
    : interval_(interval), caller_(options, /*with_loads=*/true), job_(std::move(job)) {
  int ends[2];
  EVENKEEL_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  ready_ = ends[0];
  told_ = ends[1];
  thread_ = std::thread([this] { Run(); });
}

WatchPoller::~WatchPoller() {
  {
    MutexLock lock(&mutex_);
    is_over_ = true;
  }
  caller_.Cancel();
  changed_.NotifyAll();
  thread_.join();
  close(ready_);
  close(told_);
}

WatchAnswer WatchPoller::Take() {
  char bytes[64];
  while (read(ready_, bytes, sizeof(bytes)) > 0) {
  }
  MutexLock lock(&mutex_);
  return answer_;
}

void WatchPoller::Choose(const std::string& job) {
  MutexLock lock(&mutex_);
  job_ = job;
  is_chosen_ = true;
  changed_.NotifyAll();
}

void WatchPoller::Run() {
  const auto interval = std::chrono::microseconds(absl::ToInt64Microseconds(interval_));
  while (true) {
    const auto next = std::chrono::steady_clock::now() + interval;
    std::string job;
    {
      MutexLock lock(&mutex_);
      job = job_;
      is_chosen_ = false;
    }
    WatchAnswer answer = caller_.Ask(job);
    MutexLock lock(&mutex_);
    if (is_over_) return;
    // An answer about a job that is not the one any more is not told.
    if (!is_chosen_) {
      // What was the first job stays the one that is shown.
      if (job_.empty()) job_ = answer.job;
      answer_ = std::move(answer);
      [[maybe_unused]] const ssize_t written = write(told_, "", 1);
    }
    while (!is_over_ && !is_chosen_ && changed_.WaitUntil(&mutex_, next)) {
    }
    if (is_over_) return;
  }
}

}  // namespace evenkeel::tools
