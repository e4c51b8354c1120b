#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/gpu_check/device.h"

namespace evenkeel::gpu_check {

// An array of the device, for tests: an error fails the test, and leaves an array that is not there. Set() and Get()
// wait for the stream, which must outlive the array.
template <typename Value>
class DeviceArray {
 public:
  // Every byte is `fill`.
  DeviceArray(const DeviceStream& stream, int64_t size, uint8_t fill) : stream_(stream), size_(size) {
    if (size == 0) return;
    absl::StatusOr<DeviceMemory> memory = DeviceMemory::Allocate(size * sizeof(Value));
    Expect(memory.status());
    if (!memory.ok()) return;
    memory_ = *std::move(memory);
    Expect(stream_.Fill(data(), fill, size * sizeof(Value)));
  }

  DeviceArray(const DeviceStream& stream, const std::vector<Value>& values) : DeviceArray(stream, values.size(), 0) {
    Set(0, values);
  }

  // Null after an error, and where there is nothing.
  Value* data() const { return memory_.has_value() ? reinterpret_cast<Value*>(memory_->data()) : nullptr; }
  int64_t size() const { return size_; }

  void Set(int64_t first, const std::vector<Value>& values) {
    if (!memory_.has_value()) return;
    Expect(stream_.CopyIn(data() + first, values.data(), values.size() * sizeof(Value)));
    Expect(stream_.Synchronize());
  }

  std::vector<Value> Get(int64_t first, int64_t size) const {
    std::vector<Value> values(size);
    if (!memory_.has_value()) return values;
    Expect(stream_.CopyOut(values.data(), data() + first, size * sizeof(Value)));
    Expect(stream_.Synchronize());
    return values;
  }
  std::vector<Value> Get() const { return Get(0, size_); }

 private:
  static void Expect(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

  const DeviceStream& stream_;
  const int64_t size_;
  std::optional<DeviceMemory> memory_;
};

// A test with a stream of its own.
class DeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<DeviceStream> stream = DeviceStream::Create();
    ASSERT_TRUE(stream.ok()) << stream.status();
    stream_ = *std::move(stream);
  }

  const DeviceStream& stream() const { return *stream_; }

  void ExpectOk(const absl::Status& status) const { EXPECT_TRUE(status.ok()) << status; }

 private:
  std::optional<DeviceStream> stream_;
};

}  // namespace evenkeel::gpu_check
