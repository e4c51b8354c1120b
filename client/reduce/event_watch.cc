#include "client/reduce/event_watch.h"

#include <optional>
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

absl::StatusOr<EventWatch::Awaited> EventWatch::NewAwaited() {
  {
    MutexLock lock(&mutex_);
    if (!free_.empty()) {
      Awaited awaited = std::move(free_.back());
      free_.pop_back();
      return awaited;
    }
  }
  Awaited awaited;
  EVENKEEL_ASSIGN_OR_RETURN(awaited.reached, OwnedEvent::Create(runtime_));
  EVENKEEL_ASSIGN_OR_RETURN(awaited.over, OwnedEvent::Create(runtime_));
  return awaited;
}

absl::Status EventWatch::Enqueue(DeviceStream stream, absl::FunctionRef<absl::Status()> collective) {
  EVENKEEL_ASSIGN_OR_RETURN(Awaited awaited, NewAwaited());
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(awaited.reached.get(), stream));
  EVENKEEL_RETURN_IF_ERROR(collective());
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(awaited.over.get(), stream));
  MutexLock lock(&mutex_);
  awaited_.push_back(std::move(awaited));
  changed_.NotifyAll();
  return absl::OkStatus();
}

absl::Status EventWatch::status() {
  // Somebody else may have aborted it, which is not noticed here yet. Asked first: whoever aborts here, has said why.
  const absl::Status health = reducer_->Health();
  MutexLock lock(&mutex_);
  return status_.ok() ? health : status_;
}

bool EventWatch::First(DeviceEvent* reached, DeviceEvent* over) {
  MutexLock lock(&mutex_);
  while (!stopping_ && awaited_.empty()) changed_.Wait(&mutex_);
  if (stopping_) return false;
  *reached = awaited_.front().reached.get();
  *over = awaited_.front().over.get();
  return true;
}

absl::Status EventWatch::AwaitFirst() {
  DeviceEvent reached = nullptr;
  DeviceEvent over = nullptr;
  std::optional<Deadline> deadline;
  for (Polling polling; First(&reached, &over); polling.Pause()) {
    EVENKEEL_ASSIGN_OR_RETURN(const bool is_over, runtime_->Happened(over));
    // What an abort has ended, has not run.
    EVENKEEL_RETURN_IF_ERROR(reducer_->Health());
    if (is_over) {
      MutexLock lock(&mutex_);
      free_.push_back(std::move(awaited_.front()));
      awaited_.pop_front();
      return absl::OkStatus();
    }
    if (!deadline.has_value()) {
      EVENKEEL_ASSIGN_OR_RETURN(const bool is_reached, runtime_->Happened(reached));
      if (is_reached) deadline = std::chrono::steady_clock::now() + timeout_;
    } else if (std::chrono::steady_clock::now() >= *deadline) {
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
