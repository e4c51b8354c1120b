#include "tests/gpu_check/device_router.h"

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "kernels/routing/cuda/cuda_backward.h"
#include "kernels/routing/cuda/cuda_router.h"
#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/reference/reference_router.h"
#include "tests/gpu_check/device.h"

namespace evenkeel::gpu_check {
namespace {

using routing::DType;
using routing::IdType;
using routing::RouteSpec;

size_t BytesOf(DType dtype) { return dtype == DType::kF32 ? sizeof(float) : sizeof(uint16_t); }
size_t BytesOf(IdType type) { return type == IdType::kInt32 ? sizeof(int32_t) : sizeof(int64_t); }

// As cuda_router.h and cuda_backward.h have it.
bool IsRoutedOnDevice(const RouteSpec& spec) { return spec.num_experts <= 1024 && spec.top_k <= 32; }

// From the first byte of a matrix to its last.
size_t Span(int64_t rows, int64_t stride, int64_t columns, size_t element) {
  return rows == 0 ? 0 : ((rows - 1) * stride + columns) * element;
}

// Memory of the host that the device has a copy of, for one call. The first error is kept, and all that follows does
// nothing.
class Exchange {
 public:
  explicit Exchange(const DeviceStream& stream) : stream_(stream) {}

  // The address of the copy; null for null. `bytes` is what may be touched.
  template <typename Value>
  const Value* Read(const Value* host, size_t bytes) {
    return static_cast<const Value*>(Lend(host, nullptr, bytes));
  }
  template <typename Value>
  Value* Write(Value* host, size_t bytes) {
    return static_cast<Value*>(Lend(host, host, bytes));
  }

  const absl::Status& status() const { return status_; }

  // Waits for the stream and brings everything back.
  absl::Status Return() {
    std::vector<std::vector<uint8_t>> returned;
    for (const Loan& loan : loans_) {
      returned.emplace_back(loan.lent.size());
      status_.Update(stream_.CopyOut(returned.back().data(), loan.device, loan.lent.size()));
    }
    status_.Update(stream_.Synchronize());
    for (size_t i = 0; status_.ok() && i < loans_.size(); ++i) {
      if (loans_[i].output != nullptr) {
        std::memcpy(loans_[i].output, returned[i].data(), returned[i].size());
      } else if (returned[i] != loans_[i].lent) {
        status_ = absl::InternalError("the kernel has written to an input");
      }
    }
    return status_;
  }

 private:
  struct Loan {
    void* output;  // null: an input
    std::vector<uint8_t> lent;
    DeviceMemory memory;
    uint8_t* device;
  };

  void* Lend(const void* host, void* output, size_t bytes) {
    if (host == nullptr || bytes == 0 || !status_.ok()) return nullptr;
    const size_t misalignment = reinterpret_cast<uintptr_t>(host) % 16;
    absl::StatusOr<DeviceMemory> memory = DeviceMemory::Allocate(misalignment + bytes);
    status_.Update(memory.status());
    if (!status_.ok()) return nullptr;
    uint8_t* device = memory->data() + misalignment;
    const auto* first = static_cast<const uint8_t*>(host);
    loans_.push_back({output, {first, first + bytes}, *std::move(memory), device});
    status_.Update(stream_.CopyIn(device, loans_.back().lent.data(), bytes));
    return device;
  }

  const DeviceStream& stream_;
  absl::Status status_;
  std::vector<Loan> loans_;
};

}  // namespace

absl::Status RouteOnDevice(const RouteSpec& spec, const routing::RouteInput& input, const routing::RouteOutput& output,
                           routing::RouteStats* stats) {
  // Refused before any pointer is followed.
  if (!routing::ValidateRoute(spec, input, output).ok()) {
    return routing::RouteCuda(spec, input, output, stats, nullptr);
  }
  if (!IsRoutedOnDevice(spec)) return routing::RouteReference(spec, input, output, stats);

  EVENKEEL_ASSIGN_OR_RETURN(const DeviceStream stream, DeviceStream::Create());
  Exchange exchange(stream);
  const int64_t rows = input.rows;
  const int64_t experts = spec.num_experts;
  const int64_t slots = spec.top_k;
  routing::RouteInput in = input;
  in.logits = exchange.Read(input.logits, Span(rows, input.logits_stride, experts, BytesOf(input.logits_dtype)));
  in.bias = exchange.Read(input.bias, experts * sizeof(float));
  in.valid_mask = exchange.Read(input.valid_mask, rows);
  in.replay_ids = exchange.Read(input.replay_ids, Span(rows, input.replay_stride, slots, sizeof(int32_t)));
  routing::RouteOutput out = output;
  out.ids = exchange.Write(output.ids, Span(rows, output.ids_stride, slots, BytesOf(output.id_type)));
  out.weights = exchange.Write(output.weights, Span(rows, output.weights_stride, slots, BytesOf(output.weights_dtype)));
  out.dense_probabilities =
      exchange.Write(output.dense_probabilities, Span(rows, output.dense_probabilities_stride, experts, sizeof(float)));
  out.dense_map = exchange.Write(output.dense_map, Span(rows, output.dense_map_stride, experts, 1));
  out.counts = exchange.Write(output.counts, experts * sizeof(uint64_t));
  routing::RouteStats* stats_on_device = exchange.Write(stats, sizeof(routing::RouteStats));
  EVENKEEL_RETURN_IF_ERROR(exchange.status());
  EVENKEEL_RETURN_IF_ERROR(routing::RouteCuda(spec, in, out, stats_on_device, stream.get()));
  return exchange.Return();
}

absl::Status RouteBackwardOnDevice(const RouteSpec& spec, const routing::RouteBackwardInput& input,
                                   const routing::RouteBackwardOutput& output) {
  if (!routing::ValidateRouteBackward(spec, input, output).ok()) {
    return routing::RouteBackwardCuda(spec, input, output, nullptr);
  }
  if (!IsRoutedOnDevice(spec)) return routing::RouteBackwardReference(spec, input, output);

  EVENKEEL_ASSIGN_OR_RETURN(const DeviceStream stream, DeviceStream::Create());
  Exchange exchange(stream);
  const int64_t rows = input.rows;
  const int64_t experts = spec.num_experts;
  const int64_t slots = spec.top_k;
  routing::RouteBackwardInput in = input;
  in.logits = exchange.Read(input.logits, Span(rows, input.logits_stride, experts, BytesOf(input.logits_dtype)));
  in.ids = exchange.Read(input.ids, Span(rows, input.ids_stride, slots, BytesOf(input.id_type)));
  in.d_weights =
      exchange.Read(input.d_weights, Span(rows, input.d_weights_stride, slots, BytesOf(input.d_weights_dtype)));
  in.d_probabilities =
      exchange.Read(input.d_probabilities, Span(rows, input.d_probabilities_stride, experts, sizeof(float)));
  routing::RouteBackwardOutput out = output;
  out.d_logits =
      exchange.Write(output.d_logits, Span(rows, output.d_logits_stride, experts, BytesOf(output.d_logits_dtype)));
  EVENKEEL_RETURN_IF_ERROR(exchange.status());
  EVENKEEL_RETURN_IF_ERROR(routing::RouteBackwardCuda(spec, in, out, stream.get()));
  return exchange.Return();
}

}  // namespace evenkeel::gpu_check
