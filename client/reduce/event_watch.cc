#include "client/reduce/event_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/polling.h"

namespace evenkeel::client {

EventWatch::EventWatch(DeviceRuntime* runtime, DeviceReducer* reducer, std::chrono::milliseconds timeout)
    : runtime_(runtime), reducer_(reducer), timeout_(timeout), thread_(&EventWatch::Run, this) {}

EventWatch::~EventWatch() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

absl::Status EventWatch::Add(DeviceStream stream) {
  MutexLock lock(&mutex_);
  if (free_.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(OwnedEvent event, OwnedEvent::Create(runtime_));
    free_.push_back(std::move(event));
  }
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(free_.back().get(), stream));
  awaited_.push_back({std::move(free_.back()), std::chrono::steady_clock::now() + timeout_});
  free_.pop_back();
  changed_.NotifyAll();
  return absl::OkStatus();
}

absl::Status EventWatch::status() {
  MutexLock lock(&mutex_);
  return status_;
}

bool EventWatch::Next(DeviceEvent* event, Deadline* deadline) {
  MutexLock lock(&mutex_);
  while (!stopping_ && awaited_.empty()) changed_.Wait(&mutex_);
  if (stopping_) return false;
  *event = awaited_.front().event.get();
  *deadline = awaited_.front().deadline;
  return true;
}

absl::Status EventWatch::AwaitFirst() {
  DeviceEvent event;
  Deadline deadline;
  for (Polling polling; Next(&event, &deadline); polling.Pause()) {
    EVENKEEL_ASSIGN_OR_RETURN(const bool happened, runtime_->Happened(event));
    if (happened) {
      MutexLock lock(&mutex_);
      free_.push_back(std::move(awaited_.front().event));
      awaited_.pop_front();
      return absl::OkStatus();
    }
    EVENKEEL_RETURN_IF_ERROR(reducer_->Health());
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("rank ", reducer_->rank(), " of ", reducer_->size(),
                                                      ": the other ranks of the group did not come within ",
                                                      timeout_.count(), " ms"));
    }
  }
  return absl::OkStatus();
}

void EventWatch::Run() {
  while (true) {
    const absl::Status status = AwaitFirst();
    {
      MutexLock lock(&mutex_);
      if (stopping_) return;
      status_ = status;
    }
    if (status.ok()) continue;
    reducer_->Abort();
    return;
  }
}

}  // namespace evenkeel::client
