#include "server/recorder/recorder.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "server/recorder/folder.h"

namespace evenkeel::recorder {
namespace {

// `state` became the newest.
WholeState After(const WholeState& before, StatePtr state) {
  WholeState after;
  for (const uint64_t step : core::EarlierSteps(*state, /*first_version=*/0)) {
    const auto keep = [&](const StatePtr& other) {
      if (other != nullptr && other->version().step() == step) after.earlier.push_back(other);
    };
    for (const StatePtr& earlier : before.earlier) keep(earlier);
    keep(before.newest);
  }
  after.newest = std::move(state);
  return after;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Recorder>> Recorder::Start(const Options& options, Listener listener) {
  EVENKEEL_RETURN_IF_ERROR(MakeFolder(options.directory));
  if (access(options.directory.c_str(), R_OK | W_OK | X_OK) != 0) {
    return absl::UnavailableError(absl::StrCat(options.directory, ": ", std::strerror(errno)));
  }
  std::unique_ptr<Recorder> recorder(new Recorder(options, std::move(listener)));
  recorder->thread_ = std::thread([raw = recorder.get()] { raw->Run(); });
  return recorder;
}

Recorder::Recorder(const Options& options, Listener listener) : options_(options), listener_(std::move(listener)) {}

Recorder::~Recorder() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void Recorder::Restore(absl::Span<const core::JobRecord> records) {
  for (const core::JobRecord& record : records) {
    WholeState state;
    state.newest = std::make_shared<const v1::JobState>(record.state);
    for (const v1::JobState& earlier : record.earlier) {
      state.earlier.push_back(std::make_shared<const v1::JobState>(earlier));
    }
    const std::string& job = record.state.spec().name();
    states_[job] = state;
    Post({job, {std::move(state), std::nullopt}, v1::RecordedState::STARTED});
  }
}

void Recorder::Take(absl::Span<const core::Write> writes) {
  for (const core::Write& write : writes) {
    if (write.expires) states_.erase(write.job);
    if (write.state == nullptr) continue;
    WholeState& known = states_[write.job];
    std::optional<v1::RecordedState::Cause> cause;
    if (known.newest == nullptr) cause = v1::RecordedState::MADE;
    known = After(known, write.state);
    Post({write.job, {known, write.commit}, cause});
  }
}

void Recorder::Post(Item item) {
  if (dropped_.count(item.job) > 0) item.cause = v1::RecordedState::GAP;
  bool is_full = false;
  {
    MutexLock lock(&mutex_);
    is_full = static_cast<int>(queue_.size()) >= options_.queue_size;
    if (!is_full) queue_.push_back(item);
  }
  if (!is_full) {
    changed_.NotifyAll();
    dropped_.erase(item.job);
    return;
  }
  if (!dropped_.insert(item.job).second) return;
  const uint64_t step = item.event.state.newest->version().step();
  listener_.log(WarningEvent(
      "record_gap",
      absl::StrCat("job \"", item.job, "\": the disk of ", options_.directory,
                   " is too slow for the record, which has a gap from step ", step, " on; it goes on when it can"),
      item.job));
  listener_.gap(item.job);
}

void Recorder::Flush() {
  MutexLock lock(&mutex_);
  while (!queue_.empty() || writing_) changed_.Wait(&mutex_);
}

void Recorder::Run() {
  while (true) {
    Item item;
    {
      MutexLock lock(&mutex_);
      writing_ = false;
      changed_.NotifyAll();
      while (queue_.empty() && !stop_) changed_.Wait(&mutex_);
      if (queue_.empty()) return;
      item = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
    }
    Write(std::move(item));
  }
}

void Recorder::Write(Item item) {
  Writing& job = jobs_[item.job];
  if (job.record == nullptr) {
    job.record =
        std::make_unique<JobRecord>(absl::StrCat(options_.directory, "/", FolderName(item.job)), options_.bounds);
  }
  const uint64_t step = item.event.state.newest->version().step();
  if (absl::Now() < job.retry_at) item.cause = v1::RecordedState::GAP;
  if (item.cause.has_value()) return job.record->GoOnFrom(*item.cause, std::move(item.event.state));
  const absl::Status status = job.record->Take(std::move(item.event));
  if (status.ok()) {
    if (job.has_gap) {
      listener_.log(InfoEvent("record_goes_on",
                              absl::StrCat("job \"", item.job, "\": the record goes on at step ", step), item.job));
    }
    job.has_gap = false;
    return;
  }
  job.retry_at = absl::Now() + options_.retry_after;
  if (job.has_gap) return;
  job.has_gap = true;
  listener_.log(
      WarningEvent("record_gap",
                   absl::StrCat("job \"", item.job, "\": the record cannot be written, and has a gap from step ", step,
                                " on: ", status.message(), "; it goes on when it can"),
                   item.job));
  listener_.gap(item.job);
}

}  // namespace evenkeel::recorder
