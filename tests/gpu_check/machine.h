#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace evenkeel::gpu_check {

// The current device, and what drives it. Versions are CUDA's: 13000 is 13.0.
struct Machine {
  std::string device;
  std::string compute_capability;
  int driver_version = 0;
  int runtime_version = 0;
  int multiprocessors = 0;
  int clock_mhz = 0;         // the highest of the multiprocessors
  int memory_clock_mhz = 0;  // the highest
  int64_t l2_bytes = 0;
  int64_t memory_bytes = 0;
  int64_t free_memory_bytes = 0;
  bool ecc = false;
};

//   UNIMPLEMENTED  built without CUDA
//   UNAVAILABLE    there is no GPU, or no driver that serves it; with CUDA's reason
//   INTERNAL       the GPU is there and does not answer
absl::StatusOr<Machine> DescribeMachine();

// A JSON object.
std::string ToJson(const Machine& machine);

}  // namespace evenkeel::gpu_check
