#pragma once

#include <chrono>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

  // Calls `collective`, which enqueues on the stream. It is to have run within the timeout once the stream has come to
  // it: what the device still has to do before is this rank's own time. Errors of `collective` and of the runtime. For
  // one thread at a time.
  absl::Status Enqueue(DeviceStream stream, absl::FunctionRef<absl::Status()> collective);

  // OK; or why the reducer was aborted, for good: UNAVAILABLE or DEADLINE_EXCEEDED, or what the runtime met. What has
  // run before an OK has run with all ranks. From any thread; waits for nothing.
  absl::Status status();

 private:
  // One collective.
  struct Awaited {
    OwnedEvent reached;  // the stream has come to it
    OwnedEvent over;
  };

  absl::StatusOr<Awaited> NewAwaited();
  void Run();
  // Waits until the first has happened. OK when the watch ends.
  absl::Status AwaitFirst();
  // Of the first, once there is one. False when the watch ends.
  bool First(DeviceEvent* reached, DeviceEvent* over);

  DeviceRuntime* const runtime_;
  DeviceReducer* const reducer_;
  const std::chrono::milliseconds timeout_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::deque<Awaited> awaited_ ABSL_GUARDED_BY(mutex_);
  std::vector<Awaited> free_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace evenkeel::client
