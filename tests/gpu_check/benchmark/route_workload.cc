#include "tests/gpu_check/benchmark/route_workload.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/routing/cuda/cuda_router.h"
#include "tests/gpu_check/benchmark/device_values.h"
#include "tests/gpu_check/benchmark/small_kernels.h"
#include "tests/gpu_check/benchmark/two_kernel_router.h"

namespace evenkeel::benchmarks {
namespace {

using gpu_check::DeviceMemory;
using gpu_check::DeviceStream;
using routing::DType;
using routing::RouteSpec;

constexpr uint64_t kLogitsSeed = 1;
constexpr uint64_t kBiasSeed = 2;

}  // namespace

int64_t GpuRouteWorkload::BytesPerRow(const RouteSeries& series) {
  const int64_t results = series.spec.top_k * static_cast<int64_t>(sizeof(int32_t) + sizeof(float));
  return series.spec.num_experts * ElementBytes(series.dtype) + 2 * results;
}

absl::StatusOr<GpuRouteWorkload::Results> GpuRouteWorkload::Results::Create(const RouteSpec& spec, int64_t max_rows,
                                                                            const DeviceStream& stream) {
  const int64_t slots = max_rows * spec.top_k;
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory ids, ZeroedMemory(stream, slots * sizeof(int32_t)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory weights, ZeroedMemory(stream, slots * sizeof(float)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory counts, ZeroedMemory(stream, spec.num_experts * sizeof(uint64_t)));
  return Results{std::move(ids), std::move(weights), std::move(counts)};
}

routing::RouteOutput GpuRouteWorkload::Results::Output(int top_k) const {
  routing::RouteOutput output;
  output.ids = ids.data();
  output.weights = weights.data();
  output.ids_stride = output.weights_stride = top_k;
  return output;
}

absl::StatusOr<GpuRouteWorkload> GpuRouteWorkload::Create(const RouteSeries& series, int64_t max_rows,
                                                          const DeviceStream& stream) {
  const RouteSpec& spec = series.spec;
  const int64_t elements = max_rows * spec.num_experts;
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory logits, DeviceMemory::Allocate(elements * ElementBytes(series.dtype)));
  EVENKEEL_RETURN_IF_ERROR(EnqueueNormal(kLogitsSeed, 1, series.dtype, logits.data(), elements, stream.get()));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory bias, DeviceMemory::Allocate(spec.num_experts * sizeof(float)));
  EVENKEEL_RETURN_IF_ERROR(EnqueueNormal(kBiasSeed, 0.01f, DType::kF32, bias.data(), spec.num_experts, stream.get()));
  EVENKEEL_ASSIGN_OR_RETURN(Results ours, Results::Create(spec, max_rows, stream));
  EVENKEEL_ASSIGN_OR_RETURN(Results two_kernel, Results::Create(spec, max_rows, stream));
  return GpuRouteWorkload(spec, series.dtype, &stream, std::move(logits), std::move(bias), std::move(ours),
                          std::move(two_kernel));
}

GpuRouteWorkload::GpuRouteWorkload(const RouteSpec& spec, DType dtype, const DeviceStream* stream, DeviceMemory logits,
                                   DeviceMemory bias, Results ours, Results two_kernel)
    : spec_(spec),
      dtype_(dtype),
      stream_(stream),
      logits_(std::move(logits)),
      bias_(std::move(bias)),
      ours_(std::move(ours)),
      two_kernel_(std::move(two_kernel)) {}

routing::RouteInput GpuRouteWorkload::Input(int64_t rows) const {
  routing::RouteInput input;
  input.logits = logits_.data();
  input.logits_dtype = dtype_;
  input.rows = rows;
  input.logits_stride = spec_.num_experts;
  input.bias = reinterpret_cast<const float*>(bias_.data());
  return input;
}

absl::Status GpuRouteWorkload::Route(int64_t rows, CUstream_st* stream) const {
  routing::RouteOutput output = ours_.Output(spec_.top_k);
  output.counts = reinterpret_cast<uint64_t*>(ours_.counts.data());
  return routing::RouteCuda(spec_, Input(rows), output, nullptr, stream);
}

absl::Status GpuRouteWorkload::RouteByTwoKernels(int64_t rows, CUstream_st* stream) const {
  int32_t* const counts = reinterpret_cast<int32_t*>(two_kernel_.counts.data());
  return EnqueueTwoKernelRouter(spec_, Input(rows), two_kernel_.Output(spec_.top_k), counts, stream);
}

absl::StatusOr<int64_t> GpuRouteWorkload::DifferingRows(int64_t rows) const {
  const int top_k = spec_.top_k;
  EVENKEEL_RETURN_IF_ERROR(stream_->Fill(ours_.counts.data(), 0, spec_.num_experts * sizeof(uint64_t)));
  EVENKEEL_RETURN_IF_ERROR(Route(rows, stream_->get()));
  EVENKEEL_RETURN_IF_ERROR(RouteByTwoKernels(rows, stream_->get()));
  EVENKEEL_ASSIGN_OR_RETURN(const auto counts, ValuesOf<uint64_t>(*stream_, ours_.counts, spec_.num_experts));
  EVENKEEL_ASSIGN_OR_RETURN(const auto ids, ValuesOf<int32_t>(*stream_, ours_.ids, rows * top_k));
  EVENKEEL_ASSIGN_OR_RETURN(const auto theirs, ValuesOf<int32_t>(*stream_, two_kernel_.ids, rows * top_k));

  std::vector<uint64_t> counted(spec_.num_experts);
  for (const int32_t id : ids) {
    if (id < 0 || id >= spec_.num_experts) return absl::InternalError(absl::StrCat("routing wrote the id ", id));
    ++counted[id];
  }
  if (counted != counts) return absl::InternalError("routing did not count what its ids say");
  int64_t differing = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const auto begin = ids.begin() + row * top_k;
    differing += !std::equal(begin, begin + top_k, theirs.begin() + row * top_k);
  }
  return differing;
}

}  // namespace evenkeel::benchmarks
