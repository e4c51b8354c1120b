#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/gpu_check/benchmark/benchmark_cases.h"
#include "tests/gpu_check/device.h"

namespace evenkeel::benchmarks {

// One router at work on the device, by our kernel and by the two-kernel one: logits of N(0, 1), a bias of
// 0.01 N(0, 1), and ids, weights and counts of each. A batch is the first rows of it. One thread at a time.
class GpuRouteWorkload {
 public:
  static int64_t BytesPerRow(const RouteSeries& series);

  // For batches of up to `max_rows`, of a series in float32 or bfloat16. The inputs are made on `stream`, which must
  // outlive this.
  static absl::StatusOr<GpuRouteWorkload> Create(const RouteSeries& series, int64_t max_rows,
                                                 const gpu_check::DeviceStream& stream);

  // Put the routing of `rows` rows on a stream.
  absl::Status Route(int64_t rows, CUstream_st* stream) const;
  absl::Status RouteByTwoKernels(int64_t rows, CUstream_st* stream) const;

  // Routes `rows` rows once by both, and waits. How many rows have other ids; INTERNAL when our counts did not grow by
  // what our ids say.
  absl::StatusOr<int64_t> DifferingRows(int64_t rows) const;

  const void* logits() const { return logits_.data(); }
  // [rows, K], as Route() has written them.
  const int32_t* ids() const { return reinterpret_cast<const int32_t*>(ours_.ids.data()); }

 private:
  struct Results {
    gpu_check::DeviceMemory ids, weights, counts;

    static absl::StatusOr<Results> Create(const routing::RouteSpec& spec, int64_t max_rows,
                                          const gpu_check::DeviceStream& stream);
    routing::RouteOutput Output(int top_k) const;
  };

  GpuRouteWorkload(const routing::RouteSpec& spec, routing::DType dtype, const gpu_check::DeviceStream* stream,
                   gpu_check::DeviceMemory logits, gpu_check::DeviceMemory bias, Results ours, Results two_kernel);

  routing::RouteInput Input(int64_t rows) const;

  routing::RouteSpec spec_;
  routing::DType dtype_;
  const gpu_check::DeviceStream* stream_;
  gpu_check::DeviceMemory logits_, bias_;
  Results ours_;        // counts of uint64
  Results two_kernel_;  // counts of int32
};

}  // namespace evenkeel::benchmarks
