#include "tests/gpu_check/benchmark/plain_benchmark_device.h"

#include <random>
#include <utility>
#include <vector>

#include "kernels/balance/cuda/cuda_update.h"
#include "kernels/routing/half.h"
#include "kernels/routing/reference/reference_router.h"
#include "tests/gpu_check/benchmark/benchmark_device.h"
#include "tests/gpu_check/benchmark/small_kernels.h"
#include "tests/gpu_check/benchmark/two_kernel_router.h"
#include "tests/gpu_check/plain_device.h"

struct CUevent_st {
  double microseconds;
};

namespace evenkeel::benchmarks {
namespace {

double g_microseconds = 0;  // of this device

}  // namespace

absl::StatusOr<int64_t> L2Bytes() { return 1 << 10; }

absl::StatusOr<DeviceEvent> DeviceEvent::Create() { return DeviceEvent(new CUevent_st{0}); }

void DeviceEvent::Destroy::operator()(CUevent_st* event) const { delete event; }

absl::Status DeviceEvent::Record(CUstream_st* stream) const {
  stream->work.push_back([event = event_.get()] { event->microseconds = g_microseconds += kPlainEventMicroseconds; });
  return absl::OkStatus();
}

absl::StatusOr<double> DeviceEvent::MicrosecondsSince(const DeviceEvent& begin) const {
  return event_->microseconds - begin.event_->microseconds;
}

absl::Status EnqueueCopy(void* to, const void* from, size_t bytes, CUstream_st* stream) {
  stream->work.push_back([] { g_microseconds += kPlainCopyMicroseconds; });
  return absl::OkStatus();
}

absl::Status EnqueueNothing(CUstream_st* stream) {
  stream->work.push_back([] { g_microseconds += kPlainNothingMicroseconds; });
  return absl::OkStatus();
}

absl::Status EnqueueNormal(uint64_t seed, float scale, routing::DType dtype, void* to, int64_t count,
                           CUstream_st* stream) {
  stream->work.push_back([=] {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal(0, scale);
    for (int64_t i = 0; i < count; ++i) {
      if (dtype == routing::DType::kF32) {
        static_cast<float*>(to)[i] = normal(random);
      } else {
        static_cast<uint16_t*>(to)[i] = routing::BFloat16FromFloat(normal(random));
      }
    }
  });
  return absl::OkStatus();
}

absl::Status EnqueueTwoKernelRouter(const routing::RouteSpec& spec, const routing::RouteInput& input,
                                    const routing::RouteOutput& output, int32_t* counts, CUstream_st* stream) {
  stream->work.push_back([=] {
    std::vector<uint64_t> counted(spec.num_experts);
    routing::RouteOutput with_counts = output;
    with_counts.counts = counted.data();
    routing::RouteReference(spec, input, with_counts, nullptr).IgnoreError();  // it is valid
    for (int e = 0; e < spec.num_experts; ++e) counts[e] += static_cast<int32_t>(counted[e]);
    int32_t* const ids = static_cast<int32_t*>(output.ids);
    std::swap(ids[0], ids[1]);
  });
  return absl::OkStatus();
}

}  // namespace evenkeel::benchmarks

// Instead of that of the CUDA library.
namespace evenkeel::balance {

absl::Status EnqueueFlatUpdate(const FlatUpdate& update, CUstream_st* stream) {
  stream->work.push_back([update] {
    for (int layer = 0; layer < update.num_layers; ++layer) update.scalars[layer].last_reason = UpdateReason::kMoved;
  });
  return absl::OkStatus();
}

}  // namespace evenkeel::balance
