#pragma once

#include <chrono>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "client/deadline.h"
#include "client/device/device_buffer.h"
#include "client/device/device_runtime.h"
#include "client/reduce/device_reducer.h"

namespace evenkeel::client {

// Who waits for collectives that other ranks have a part in, so that nobody else must: a thread that finds out when one
// of them is lost, and then ends what is enqueued.
class EventWatch {
 public:
  // Both outlive it.
  EventWatch(DeviceRuntime* runtime, DeviceReducer* reducer, std::chrono::milliseconds timeout);
  ~EventWatch();

  // What is on the stream is to have run within the timeout. Errors of the runtime.
  absl::Status Add(DeviceStream stream);

  // OK; or why the reducer was aborted, for good: UNAVAILABLE or DEADLINE_EXCEEDED, or what the runtime met.
  absl::Status status();

 private:
  struct Awaited {
    OwnedEvent event;
    Deadline deadline;
  };

  void Run();
  // Waits until the first has happened. OK when the watch ends.
  absl::Status AwaitFirst();
  bool Next(DeviceEvent* event, Deadline* deadline);

  DeviceRuntime* const runtime_;
  DeviceReducer* const reducer_;
  const std::chrono::milliseconds timeout_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::deque<Awaited> awaited_ ABSL_GUARDED_BY(mutex_);
  std::vector<OwnedEvent> free_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace evenkeel::client
