#include "client/source/background_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace evenkeel::client {

BackgroundSource::BackgroundSource(std::unique_ptr<BiasSource> inner)
    : inner_(std::move(inner)), thread_(&BackgroundSource::Run, this) {}

BackgroundSource::~BackgroundSource() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

absl::Status BackgroundSource::Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) {
  EVENKEEL_RETURN_IF_ERROR(inner_->Join(next_step, deadline, joined));
  lag_ = joined->effective().lag();
  first_version_ = (joined->has_previous() ? joined->previous() : joined->version()).version().step();
  return absl::OkStatus();
}

void BackgroundSource::Push(StepCountsPtr counts) {
  MutexLock lock(&mutex_);
  pushes_.push_back(std::move(counts));
  changed_.NotifyAll();
}

absl::StatusOr<bool> BackgroundSource::Await(uint64_t step, Deadline, v1::CommittedVersion* version) {
  MutexLock lock(&mutex_);
  EVENKEEL_RETURN_IF_ERROR(error_);
  return Give(DueVersion(step, lag_, first_version_), version);
}

absl::Status BackgroundSource::Drain(Deadline deadline) {
  while (error_.ok() && !pushes_.empty()) {
    if (changed_.WaitUntil(&mutex_, deadline) || pushes_.empty()) continue;
    return absl::DeadlineExceededError(
        absl::StrCat("the counts of ", pushes_.size(), " steps are still on the device"));
  }
  return error_;
}

absl::StatusOr<bool> BackgroundSource::Leave(Deadline deadline, v1::CommittedVersion* version) {
  MutexLock lock(&mutex_);
  EVENKEEL_RETURN_IF_ERROR(Drain(deadline));
  return Give(/*due=*/UINT64_MAX, version);
}

// With nothing under way, the thread leaves the inner source alone.
absl::StatusOr<v1::Snapshot> BackgroundSource::Save(uint64_t step, Deadline deadline) {
  MutexLock lock(&mutex_);
  EVENKEEL_RETURN_IF_ERROR(Drain(deadline));
  return inner_->Save(step, deadline);
}

bool BackgroundSource::Give(uint64_t due, v1::CommittedVersion* version) {
  bool newer = false;
  for (; !made_.empty() && made_.front().version().step() <= due; made_.pop_front()) {
    version->Swap(&made_.front());
    newer = true;
  }
  return newer;
}

void BackgroundSource::Run() {
  while (true) {
    StepCountsPtr counts;
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && pushes_.empty()) changed_.Wait(&mutex_);
      if (stopping_) return;
      counts = std::move(pushes_.front());
    }
    inner_->Push(std::move(counts));
    v1::CommittedVersion version;
    const absl::StatusOr<bool> is_new = inner_->Await(/*step=*/UINT64_MAX, Deadline::max(), &version);
    MutexLock lock(&mutex_);
    pushes_.pop_front();
    if (error_.ok()) error_ = is_new.status();
    if (is_new.ok() && *is_new) made_.push_back(std::move(version));
    changed_.NotifyAll();
  }
}

}  // namespace evenkeel::client
