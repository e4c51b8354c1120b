#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "tests/gpu_check/device.h"

namespace evenkeel::benchmarks {

// Memory of the device, all zero once the stream has come that far.
inline absl::StatusOr<gpu_check::DeviceMemory> ZeroedMemory(const gpu_check::DeviceStream& stream, int64_t bytes) {
  EVENKEEL_ASSIGN_OR_RETURN(auto memory, gpu_check::DeviceMemory::Allocate(bytes));
  EVENKEEL_RETURN_IF_ERROR(stream.Fill(memory.data(), 0, bytes));
  return memory;
}

// Memory of the device that holds `values`. Waits for the stream.
template <typename Value>
absl::StatusOr<gpu_check::DeviceMemory> MemoryOf(const gpu_check::DeviceStream& stream,
                                                 const std::vector<Value>& values) {
  const size_t bytes = values.size() * sizeof(Value);
  EVENKEEL_ASSIGN_OR_RETURN(auto memory, gpu_check::DeviceMemory::Allocate(bytes));
  EVENKEEL_RETURN_IF_ERROR(stream.CopyIn(memory.data(), values.data(), bytes));
  EVENKEEL_RETURN_IF_ERROR(stream.Synchronize());
  return memory;
}

// The first `count` values of `memory`, when what is on the stream has run.
template <typename Value>
absl::StatusOr<std::vector<Value>> ValuesOf(const gpu_check::DeviceStream& stream,
                                            const gpu_check::DeviceMemory& memory, int64_t count) {
  std::vector<Value> values(count);
  EVENKEEL_RETURN_IF_ERROR(stream.CopyOut(values.data(), memory.data(), count * sizeof(Value)));
  EVENKEEL_RETURN_IF_ERROR(stream.Synchronize());
  return values;
}

}  // namespace evenkeel::benchmarks
