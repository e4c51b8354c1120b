#include "tests/gpu_check/benchmark/gpu_benchmark.h"

namespace evenkeel::benchmarks {

absl::Status RunGpuBenchmark(const GpuBenchmarkOptions& options, std::vector<std::string>* json_records) {
  return absl::UnimplementedError("the GPU benchmark was built without CUDA");
}

}  // namespace evenkeel::benchmarks
