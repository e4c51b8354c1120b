#include "absl/time/time.h"
#include "tests/gpu_check/benchmark/gpu_benchmark.h"
#include "tests/gpu_check/program.h"

int main(int argc, char** argv) {
  namespace gpu_check = evenkeel::gpu_check;
  return gpu_check::RunProgram(argc, argv, [](const gpu_check::Flags& flags, std::vector<std::string>* records) {
    evenkeel::benchmarks::GpuBenchmarkOptions options;
    options.quick = flags.quick;
    options.python = flags.python;
    options.limit = absl::Seconds(flags.seconds);
    return evenkeel::benchmarks::RunGpuBenchmark(options, records);
  });
}
