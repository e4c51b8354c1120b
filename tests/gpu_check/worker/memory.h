#pragma once

#include <cstddef>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "client/device/device_buffer.h"
#include "client/device/device_runtime.h"
#include "client/polling.h"

namespace evenkeel::gpu_check {

// Where a training run has its arrays, and writes down what it saw. What is copied and noted comes in the order of the
// calls, among what else is enqueued on the run's stream.
class Memory {
 public:
  virtual ~Memory() = default;

  // Zeros, which live as long as this.
  virtual absl::StatusOr<char*> Make(size_t bytes) = 0;
  // From an array of the caller's, which may end then. Only before anything is enqueued.
  virtual absl::Status Store(char* to, const std::vector<char>& from) = 0;
  virtual absl::Status Copy(char* to, const char* from, size_t bytes) = 0;
  // Appends to the notes what is at `from` by then.
  virtual absl::Status Note(const void* from, size_t bytes) = 0;
  // Waits until all of them have been written.
  virtual absl::StatusOr<std::vector<char>> Notes() = 0;
};

class HostMemory final : public Memory {
 public:
  absl::StatusOr<char*> Make(size_t bytes) override { return arrays_.emplace_back(bytes).data(); }
  absl::Status Store(char* to, const std::vector<char>& from) override { return Copy(to, from.data(), from.size()); }
  absl::Status Copy(char* to, const char* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
    return absl::OkStatus();
  }
  absl::Status Note(const void* from, size_t bytes) override {
    const char* first = static_cast<const char*>(from);
    notes_.insert(notes_.end(), first, first + bytes);
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<char>> Notes() override { return notes_; }

 private:
  std::deque<std::vector<char>> arrays_;
  std::vector<char> notes_;
};

// Nothing of it waits for the device before Notes().
class GpuMemory final : public Memory {
 public:
  // `runtime` and `stream` outlive it. At most `notes` bytes are noted.
  static absl::StatusOr<std::unique_ptr<GpuMemory>> Create(client::DeviceRuntime* runtime, client::DeviceStream stream,
                                                           size_t notes) {
    auto memory = std::make_unique<GpuMemory>(runtime, stream);
    EVENKEEL_ASSIGN_OR_RETURN(memory->notes_, client::DeviceBuffer<char>::Pinned(runtime, notes));
    EVENKEEL_ASSIGN_OR_RETURN(memory->reached_, client::OwnedEvent::Create(runtime));
    return memory;
  }
  GpuMemory(client::DeviceRuntime* runtime, client::DeviceStream stream) : runtime_(runtime), stream_(stream) {}

  absl::StatusOr<char*> Make(size_t bytes) override {
    EVENKEEL_ASSIGN_OR_RETURN(auto array, client::DeviceBuffer<char>::OnDevice(runtime_, bytes));
    arrays_.push_back(std::move(array));
    return arrays_.back().data();
  }

  absl::Status Store(char* to, const std::vector<char>& from) override {
    EVENKEEL_ASSIGN_OR_RETURN(const auto pinned, client::DeviceBuffer<char>::Pinned(runtime_, from.size()));
    std::memcpy(pinned.data(), from.data(), from.size());
    EVENKEEL_RETURN_IF_ERROR(Copy(to, pinned.data(), from.size()));
    return Reach();
  }

  absl::Status Copy(char* to, const char* from, size_t bytes) override {
    return runtime_->Copy(to, from, bytes, stream_);
  }

  absl::Status Note(const void* from, size_t bytes) override {
    if (noted_ + bytes > notes_.size()) return absl::InternalError("more is noted than there is room for");
    noted_ += bytes;
    return runtime_->Copy(notes_.data() + noted_ - bytes, from, bytes, stream_);
  }

  absl::StatusOr<std::vector<char>> Notes() override {
    EVENKEEL_RETURN_IF_ERROR(Reach());
    return std::vector<char>(notes_.data(), notes_.data() + noted_);
  }

 private:
  absl::Status Reach() {
    EVENKEEL_RETURN_IF_ERROR(runtime_->Record(reached_.get(), stream_));
    for (client::Polling polling;; polling.Pause()) {
      EVENKEEL_ASSIGN_OR_RETURN(const bool reached, runtime_->Happened(reached_.get()));
      if (reached) return absl::OkStatus();
    }
  }

  client::DeviceRuntime* const runtime_;
  const client::DeviceStream stream_;
  std::vector<client::DeviceBuffer<char>> arrays_;
  client::DeviceBuffer<char> notes_;
  size_t noted_ = 0;
  client::OwnedEvent reached_;
};

}  // namespace evenkeel::gpu_check
