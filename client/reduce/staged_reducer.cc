#include "client/reduce/staged_reducer.h"

#include <cstring>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "client/polling.h"

namespace evenkeel::client {
namespace {

Deadline Now() { return std::chrono::steady_clock::now(); }

class StagedReducer final : public Reducer {
 public:
  StagedReducer(std::unique_ptr<DeviceReducer> inner, DeviceRuntime* runtime, std::chrono::milliseconds timeout,
                DeviceStream stream, DeviceEvent event)
      : runtime_(runtime), timeout_(timeout), stream_(stream), event_(event), inner_(std::move(inner)) {}

  ~StagedReducer() override {
    if (!Broken().ok()) return;
    runtime_->Free(device_);
    runtime_->FreePinned(pinned_);
    runtime_->DestroyEvent(event_);
    runtime_->DestroyStream(stream_);
  }

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }

  absl::Status Sum(absl::Span<uint64_t> values) override {
    return Call("sum", values.data(), values.size() * sizeof(uint64_t),
                [&] { return inner_->EnqueueSum(static_cast<uint64_t*>(device_), values.size(), stream_); });
  }

  absl::Status Broadcast(absl::Span<char> bytes) override {
    return Call("broadcast", bytes.data(), bytes.size(),
                [&] { return inner_->EnqueueBroadcast(device_, bytes.size(), stream_); });
  }

  void Abort() override {
    Break(absl::CancelledError("the reduction was aborted"));
    inner_->Abort();
  }

 private:
  using Enqueue = absl::FunctionRef<absl::Status()>;

  absl::Status Call(absl::string_view what, void* data, size_t bytes, Enqueue enqueue) {
    EVENKEEL_RETURN_IF_ERROR(Broken());
    if (bytes == 0) return absl::OkStatus();
    const absl::Status status = Stage(data, bytes, enqueue);
    if (!status.ok()) {
      Break(absl::Status(status.code(), absl::StrCat(what, " of ", bytes, " bytes on rank ", rank(), " of ", size(),
                                                     ": ", status.message())));
      inner_->Abort();
    }
    return Broken();
  }

  absl::Status Stage(void* data, size_t bytes, Enqueue enqueue) {
    EVENKEEL_RETURN_IF_ERROR(Reserve(bytes));
    std::memcpy(pinned_, data, bytes);
    EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(device_, pinned_, bytes, stream_));
    EVENKEEL_RETURN_IF_ERROR(enqueue());
    EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(pinned_, device_, bytes, stream_));
    EVENKEEL_RETURN_IF_ERROR(runtime_->Record(event_, stream_));
    EVENKEEL_RETURN_IF_ERROR(Wait());
    std::memcpy(data, pinned_, bytes);
    return absl::OkStatus();
  }

  absl::Status Reserve(size_t bytes) {
    if (bytes <= reserved_) return absl::OkStatus();
    reserved_ = 0;
    runtime_->Free(std::exchange(device_, nullptr));
    runtime_->FreePinned(std::exchange(pinned_, nullptr));
    EVENKEEL_ASSIGN_OR_RETURN(device_, runtime_->Allocate(bytes));
    EVENKEEL_ASSIGN_OR_RETURN(pinned_, runtime_->AllocatePinned(bytes));
    reserved_ = bytes;
    return absl::OkStatus();
  }

  absl::Status Wait() {
    const Deadline deadline = Now() + timeout_;
    for (Polling polling;; polling.Pause()) {
      EVENKEEL_ASSIGN_OR_RETURN(const bool happened, runtime_->Happened(event_));
      if (happened) return absl::OkStatus();
      EVENKEEL_RETURN_IF_ERROR(inner_->Health());
      if (Now() >= deadline) {
        return absl::DeadlineExceededError(absl::StrCat("no end within ", timeout_.count(), " ms"));
      }
    }
  }

  absl::Status Broken() {
    MutexLock lock(&mutex_);
    return broken_;
  }

  // The first error stays.
  void Break(const absl::Status& status) {
    MutexLock lock(&mutex_);
    if (broken_.ok()) broken_ = status;
  }

  DeviceRuntime* const runtime_;
  const std::chrono::milliseconds timeout_;
  const DeviceStream stream_;
  const DeviceEvent event_;
  size_t reserved_ = 0;  // bytes, of each of
  void* device_ = nullptr;
  void* pinned_ = nullptr;
  Mutex mutex_;
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  const std::unique_ptr<DeviceReducer> inner_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Reducer>> MakeStagedReducer(std::unique_ptr<DeviceReducer> inner, DeviceRuntime* runtime,
                                                           std::chrono::milliseconds timeout) {
  EVENKEEL_ASSIGN_OR_RETURN(const DeviceStream stream, runtime->CreateStream());
  absl::StatusOr<DeviceEvent> event = runtime->CreateEvent();
  if (event.ok()) return std::make_unique<StagedReducer>(std::move(inner), runtime, timeout, stream, *event);
  runtime->DestroyStream(stream);
  return event.status();
}

}  // namespace evenkeel::client
