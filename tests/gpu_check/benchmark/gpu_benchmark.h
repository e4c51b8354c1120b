#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

// The GPU part of the benchmark, as flat JSON objects. "what" says what one is about:
//
//   copy            bytes_per_second that a plain copy in the device's memory reads and writes, taken together
//   eager           the peer that is measured beside ours
//   empty_kernel    a launch with nothing to do, in each mode
//   route           RouteCuda: logits of N(0, 1) into int32 ids, float32 weights and counts
//   route_backward  RouteBackwardCuda, from gradients of the weights
//   balance_update  EnqueueFlatUpdate, 61 layers of 256 experts
//   count_ids       EnqueueCountIds, int32 ids of 8 of 256 experts
//
// and the rest says how it went:
//
//   router, experts, top_k, dtype, rows
//                      the case: see benchmark_cases.h
//   l2, launch         "warm" or "cold", "graph" or "stream": see gpu_timer.h
//   us, best_us        microseconds of a call: the median of the samples, and the best of them
//   samples, calls_per_sample
//                      what it is the median of
//   bytes              what must be moved: see benchmark_cases.h; bytes_per_second
//   copy_fraction      bytes_per_second over that of the copy. It may be above 1 where the L2 is warm
//   two_kernel_us, times_two_kernel
//                      a top-k kernel and a bincount kernel in the same mode (two_kernel_router.h), and its ratio to us
//   rows_differing     rows for which it chose other experts, or in another order
//   eager_us, times_eager
//                      eager PyTorch, launched operator by operator in every mode, and its ratio to us;
//                      eager_count_us of it is bincount
//   eager_graph_us, times_eager_graph
//                      the same in a CUDA graph, counted by scatter_add_: see tests/peers/eager_router.py
//   eager_error, eager_graph_error
//                      why that is missing
//   bar_us             what us is to stay under on an H200
//   skipped            why there is nothing
namespace evenkeel::benchmarks {

struct GpuBenchmarkOptions {
  bool quick = false;  // a handful of cases in graphs, under a minute
  std::string python;  // a Python with PyTorch for CUDA, which is measured beside ours; empty: none
  absl::Duration limit = absl::InfiniteDuration();  // cases that would begin later are skipped
};

// Measures on the current device, the most important cases first. `json_records` gains what was measured, whatever is
// returned; a table and its progress go to stderr.
//   UNIMPLEMENTED  built without CUDA
//   UNAVAILABLE    there is no GPU
//   INTERNAL       CUDA failed, or a kernel did not do its work; says what and in which case
// A Python that cannot be started, and a case that does not fit into the memory, are records that say why, no errors.
absl::Status RunGpuBenchmark(const GpuBenchmarkOptions& options, std::vector<std::string>* json_records);

}  // namespace evenkeel::benchmarks
