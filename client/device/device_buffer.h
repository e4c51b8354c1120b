#pragma once

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "client/device/device_runtime.h"

namespace evenkeel::client {

// What a DeviceRuntime gave, to be given back with its owner's end. The runtime outlives them; they are moved, not
// copied, and one that was moved from, or made without a runtime, holds nothing.

// An array of T in the memory of the device, filled with 0, or in pinned memory of the host.
template <typename T>
class DeviceBuffer {
 public:
  static absl::StatusOr<DeviceBuffer> OnDevice(DeviceRuntime* runtime, size_t size) {
    absl::StatusOr<void*> memory = runtime->Allocate(size * sizeof(T));
    if (!memory.ok()) return memory.status();
    return DeviceBuffer(runtime, *memory, size, /*pinned=*/false);
  }
  static absl::StatusOr<DeviceBuffer> Pinned(DeviceRuntime* runtime, size_t size) {
    absl::StatusOr<void*> memory = runtime->AllocatePinned(size * sizeof(T));
    if (!memory.ok()) return memory.status();
    return DeviceBuffer(runtime, *memory, size, /*pinned=*/true);
  }

  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(runtime_, other.runtime_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(pinned_, other.pinned_);
    return *this;
  }
  ~DeviceBuffer() {
    if (runtime_ == nullptr) return;
    if (pinned_) {
      runtime_->FreePinned(data_);
    } else {
      runtime_->Free(data_);
    }
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }

 private:
  DeviceBuffer(DeviceRuntime* runtime, void* data, size_t size, bool pinned)
      : runtime_(runtime), data_(static_cast<T*>(data)), size_(size), pinned_(pinned) {}

  DeviceRuntime* runtime_ = nullptr;
  T* data_ = nullptr;
  size_t size_ = 0;
  bool pinned_ = false;
};

class OwnedEvent {
 public:
  static absl::StatusOr<OwnedEvent> Create(DeviceRuntime* runtime) {
    absl::StatusOr<DeviceEvent> event = runtime->CreateEvent();
    if (!event.ok()) return event.status();
    return OwnedEvent(runtime, *event);
  }

  OwnedEvent() = default;
  OwnedEvent(OwnedEvent&& other) noexcept { *this = std::move(other); }
  OwnedEvent& operator=(OwnedEvent&& other) noexcept {
    std::swap(runtime_, other.runtime_);
    std::swap(event_, other.event_);
    return *this;
  }
  ~OwnedEvent() {
    if (runtime_ != nullptr) runtime_->DestroyEvent(event_);
  }

  DeviceEvent get() const { return event_; }

 private:
  OwnedEvent(DeviceRuntime* runtime, DeviceEvent event) : runtime_(runtime), event_(event) {}

  DeviceRuntime* runtime_ = nullptr;
  DeviceEvent event_ = nullptr;
};

class OwnedStream {
 public:
  static absl::StatusOr<OwnedStream> Create(DeviceRuntime* runtime) {
    absl::StatusOr<DeviceStream> stream = runtime->CreateStream();
    if (!stream.ok()) return stream.status();
    return OwnedStream(runtime, *stream);
  }

  OwnedStream() = default;
  OwnedStream(OwnedStream&& other) noexcept { *this = std::move(other); }
  OwnedStream& operator=(OwnedStream&& other) noexcept {
    std::swap(runtime_, other.runtime_);
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~OwnedStream() {
    if (runtime_ != nullptr) runtime_->DestroyStream(stream_);
  }

  DeviceStream get() const { return stream_; }

 private:
  OwnedStream(DeviceRuntime* runtime, DeviceStream stream) : runtime_(runtime), stream_(stream) {}

  DeviceRuntime* runtime_ = nullptr;
  DeviceStream stream_ = nullptr;
};

}  // namespace evenkeel::client
