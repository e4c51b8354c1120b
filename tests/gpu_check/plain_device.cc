#include "tests/gpu_check/plain_device.h"

#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/counting/cuda/cuda_count.h"
#include "kernels/counting/cuda/emulated_count.h"
#include "kernels/routing/cuda/cuda_backward.h"
#include "kernels/routing/cuda/cuda_router.h"
#include "kernels/routing/warp/emulated_backward.h"
#include "kernels/routing/warp/emulated_router.h"
#include "tests/gpu_check/device.h"
#include "tests/gpu_check/machine.h"

struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};

namespace evenkeel::gpu_check {

absl::StatusOr<Machine> DescribeMachine() {
  Machine machine;
  machine.device = "plain memory";
  return machine;
}

absl::StatusOr<DeviceMemory> DeviceMemory::Allocate(size_t bytes) {
  return DeviceMemory(static_cast<uint8_t*>(std::malloc(bytes)));
}

void DeviceMemory::Free::operator()(uint8_t* data) const { std::free(data); }

absl::StatusOr<size_t> FreeDeviceMemory() { return size_t{1} << 30; }

absl::StatusOr<DeviceStream> DeviceStream::Create() { return DeviceStream(new CUstream_st); }

void DeviceStream::Destroy::operator()(CUstream_st* stream) const { delete stream; }

absl::Status DeviceStream::CopyIn(void* device, const void* host, size_t bytes) const {
  get()->work.push_back([=] { std::memcpy(device, host, bytes); });
  return absl::OkStatus();
}

absl::Status DeviceStream::CopyOut(void* host, const void* device, size_t bytes) const {
  get()->work.push_back([=] { std::memcpy(host, device, bytes); });
  return absl::OkStatus();
}

absl::Status DeviceStream::Fill(void* device, uint8_t byte, size_t bytes) const {
  get()->work.push_back([=] { std::memset(device, byte, bytes); });
  return absl::OkStatus();
}

absl::Status DeviceStream::Synchronize() const {
  for (const auto& each : std::exchange(get()->work, {})) each();
  return absl::OkStatus();
}

absl::StatusOr<DeviceGraph> DeviceGraph::Capture(const DeviceStream& stream,
                                                 const std::function<absl::Status()>& enqueue) {
  auto before = std::exchange(stream.get()->work, {});
  const absl::Status status = enqueue();
  DeviceGraph graph(new CUgraphExec_st{std::exchange(stream.get()->work, std::move(before))});
  if (!status.ok()) return status;
  return graph;
}

absl::Status DeviceGraph::Launch(const DeviceStream& stream) const {
  for (const auto& each : graph_->work) stream.get()->work.push_back(each);
  return absl::OkStatus();
}

void DeviceGraph::Destroy::operator()(CUgraphExec_st* graph) const { delete graph; }

}  // namespace evenkeel::gpu_check

// Instead of those of the CUDA libraries.
namespace evenkeel::routing {

absl::Status RouteCuda(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* stats,
                       CUstream_st* stream) {
  const absl::Status status = ValidateRoute(spec, input, output);
  if (!status.ok() || input.rows == 0) return status;
  stream->work.push_back([=] { RouteEmulated(spec, input, output, stats).IgnoreError(); });  // it is valid
  return absl::OkStatus();
}

absl::Status RouteBackwardCuda(const RouteSpec& spec, const RouteBackwardInput& input,
                               const RouteBackwardOutput& output, CUstream_st* stream) {
  const absl::Status status = ValidateRouteBackward(spec, input, output);
  if (!status.ok() || input.rows == 0) return status;
  stream->work.push_back([=] { RouteBackwardEmulated(spec, input, output).IgnoreError(); });  // likewise
  return absl::OkStatus();
}

}  // namespace evenkeel::routing

namespace evenkeel::counting {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 3;

}  // namespace

absl::Status EnqueueCountIds(const IdsInput& input, const CountOutput& output, CUstream_st* stream) {
  const absl::Status status = ValidateCount(input, output);
  if (!status.ok() || input.rows == 0) return status;
  stream->work.push_back([=] { EmulatedCountIds<kThreads>(input, output, kBlocks, /*seed=*/1).IgnoreError(); });
  return absl::OkStatus();
}

absl::Status EnqueueAddCounts(const CountsInput& input, const CountOutput& output, CUstream_st* stream) {
  const absl::Status status = ValidateCount(input, output);
  if (!status.ok()) return status;
  stream->work.push_back([=] { EmulatedAddCounts<kThreads>(input, output, /*seed=*/1).IgnoreError(); });
  return absl::OkStatus();
}

}  // namespace evenkeel::counting
