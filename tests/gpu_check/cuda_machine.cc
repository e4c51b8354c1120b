#include "absl/strings/str_cat.h"
#include "tests/gpu_check/machine.h"

#if EVENKEEL_HAVE_CUDA
#include "cuda_runtime_api.h"
#endif

namespace evenkeel::gpu_check {

#if EVENKEEL_HAVE_CUDA
absl::StatusOr<Machine> DescribeMachine() {
  int devices = 0;
  cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices == 0) error = cudaErrorNoDevice;
  if (error != cudaSuccess) return absl::UnavailableError(cudaGetErrorString(error));

  Machine machine;
  cudaDeviceProp properties;
  int device = 0;
  size_t free = 0;
  size_t total = 0;
  int clock_khz = 0;
  int memory_clock_khz = 0;
  for (const cudaError_t each :
       {cudaGetDevice(&device), cudaGetDeviceProperties(&properties, device),
        cudaDriverGetVersion(&machine.driver_version), cudaRuntimeGetVersion(&machine.runtime_version),
        cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, device),
        cudaDeviceGetAttribute(&memory_clock_khz, cudaDevAttrMemoryClockRate, device), cudaMemGetInfo(&free, &total)}) {
    if (each != cudaSuccess) return absl::InternalError(cudaGetErrorString(each));
  }
  machine.device = properties.name;
  machine.compute_capability = absl::StrCat(properties.major, ".", properties.minor);
  machine.multiprocessors = properties.multiProcessorCount;
  machine.clock_mhz = clock_khz / 1000;
  machine.memory_clock_mhz = memory_clock_khz / 1000;
  machine.l2_bytes = properties.l2CacheSize;
  machine.memory_bytes = static_cast<int64_t>(total);
  machine.free_memory_bytes = static_cast<int64_t>(free);
  machine.ecc = properties.ECCEnabled != 0;
  return machine;
}
#else
absl::StatusOr<Machine> DescribeMachine() { return absl::UnimplementedError("built without CUDA"); }
#endif

}  // namespace evenkeel::gpu_check
