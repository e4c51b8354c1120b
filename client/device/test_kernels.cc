#include "client/device/test_kernels.h"

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "kernels/balance/cuda/flat_layer_update.h"
#include "kernels/balance/cuda/take_next_step.h"
#include "kernels/checksum/checksum.h"
#include "kernels/counting/reference_count.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/reference/reference_backward.h"

namespace evenkeel::client {
namespace {

using routing::DType;
using routing::IdType;
using routing::RouteStats;

size_t SizeOf(DType type) { return type == DType::kF32 ? 4 : 2; }
size_t SizeOf(IdType type) { return type == IdType::kInt32 ? 4 : 8; }

// Null is what is not wanted.
void CheckArray(const MemoryMap& map, const void* address, size_t bytes) {
  if (address != nullptr) EVENKEEL_CHECK(map.IsDevice(address, bytes));
}

template <typename Value>
void CheckArray(const MemoryMap& map, const Value* values, int64_t size) {
  CheckArray(map, static_cast<const void*>(values), size * sizeof(Value));
}

void CheckMatrix(const MemoryMap& map, const void* address, int64_t rows, int64_t stride, int64_t width,
                 size_t element) {
  CheckArray(map, address, ((rows - 1) * stride + width) * element);
}

template <typename Number>
void AddAtomically(Number* to, Number number) {
  if (number != 0) __atomic_fetch_add(to, number, __ATOMIC_RELAXED);
}

void AddAtomically(uint64_t* counts, const std::vector<uint64_t>& more) {
  for (size_t i = 0; counts != nullptr && i < more.size(); ++i) AddAtomically(&counts[i], more[i]);
}

void AddAtomically(RouteStats* stats, const RouteStats& more) {
  if (stats == nullptr) return;
  AddAtomically(&stats->valid_rows, more.valid_rows);
  AddAtomically(&stats->short_slots, more.short_slots);
}

// As kernels/routing/cuda has it.
absl::Status CheckFitsDevice(const routing::RouteSpec& spec) {
  if (spec.num_experts <= 1024 && spec.top_k <= 32) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("num_experts = ", spec.num_experts, ", top_k = ", spec.top_k,
                                               ": the GPU routes at most 1024 experts and 32 slots"));
}

// Runs Count(input, output) of the reference on memory of its own, and adds what comes of it.
template <typename Count, typename Input>
Kernel CountKernel(const Map& map, Count count, const Input& input, const counting::CountOutput& output) {
  CheckArray(*map, output.counts, input.num_experts);
  CheckArray(*map, output.stats, 1);
  CheckArray(*map, output.refused, 1);
  return [count, input, output] {
    std::vector<uint64_t> counts(input.num_experts);
    RouteStats stats;
    uint64_t refused = 0;
    counting::CountOutput own;
    own.counts = counts.data();
    own.stats = &stats;
    own.refused = &refused;
    EVENKEEL_CHECK(count(input, own).ok());
    AddAtomically(output.counts, counts);
    AddAtomically(output.stats, stats);
    AddAtomically(output.refused, refused);
  };
}

// layer_update.h's block of one thread.
template <class Memory>
class OneThread {
 public:
  static constexpr int kThreads = 1;

  template <typename Function>
  void Phase(Function function) {
    function(0);
  }
  Memory& memory() { return memory_; }

 private:
  Memory memory_;
};

// What tables and layers name can be read only when they are there: when the kernel runs.

void CheckTable(const MemoryMap& map, const balance::RateTable& table) {
  EVENKEEL_CHECK(table.size >= 1);
  EVENKEEL_CHECK(map.IsDevice(table.rates, table.size * sizeof(float)));
}

void CheckLayer(const MemoryMap& map, const balance::FlatUpdate& update, const balance::FlatLayer& layer) {
  CheckArray(map, update.counts + layer.first_expert, layer.rule.num_experts);
  CheckArray(map, update.bias + layer.first_expert, layer.rule.num_experts);
  CheckArray(map, update.ema + layer.first_expert, layer.rule.num_experts);
  CheckArray(map, update.pending + layer.first_expert, layer.rule.num_experts);
  CheckArray(map, layer.rule.target, layer.rule.num_experts);
}

}  // namespace

absl::StatusOr<Kernel> RouteKernel(const Map& map, const routing::RouteSpec& spec, const routing::RouteInput& input,
                                   const routing::RouteOutput& output, RouteStats* stats) {
  EVENKEEL_RETURN_IF_ERROR(routing::ValidateRoute(spec, input, output));
  EVENKEEL_RETURN_IF_ERROR(CheckFitsDevice(spec));
  if (input.rows == 0) return Kernel();
  const int64_t rows = input.rows;
  CheckMatrix(*map, input.logits, rows, input.logits_stride, spec.num_experts, SizeOf(input.logits_dtype));
  CheckArray(*map, input.bias, spec.num_experts);
  CheckArray(*map, input.valid_mask, rows);
  CheckMatrix(*map, input.replay_ids, rows, input.replay_stride, spec.top_k, sizeof(int32_t));
  CheckMatrix(*map, output.ids, rows, output.ids_stride, spec.top_k, SizeOf(output.id_type));
  CheckMatrix(*map, output.weights, rows, output.weights_stride, spec.top_k, SizeOf(output.weights_dtype));
  CheckMatrix(*map, output.dense_probabilities, rows, output.dense_probabilities_stride, spec.num_experts,
              sizeof(float));
  CheckMatrix(*map, output.dense_map, rows, output.dense_map_stride, spec.num_experts, sizeof(uint8_t));
  CheckArray(*map, output.counts, spec.num_experts);
  CheckArray(*map, stats, 1);
  return Kernel([=] {
    std::vector<uint64_t> counts(spec.num_experts);
    RouteStats own_stats;
    routing::RouteOutput own = output;
    if (output.counts != nullptr) own.counts = counts.data();
    EVENKEEL_CHECK(routing::RouteCpu(spec, input, own, &own_stats).ok());
    AddAtomically(output.counts, counts);
    AddAtomically(stats, own_stats);
  });
}

absl::StatusOr<Kernel> RouteBackwardKernel(const Map& map, const routing::RouteSpec& spec,
                                           const routing::RouteBackwardInput& input,
                                           const routing::RouteBackwardOutput& output) {
  EVENKEEL_RETURN_IF_ERROR(routing::ValidateRouteBackward(spec, input, output));
  EVENKEEL_RETURN_IF_ERROR(CheckFitsDevice(spec));
  if (input.rows == 0) return Kernel();
  const int64_t rows = input.rows;
  CheckMatrix(*map, input.logits, rows, input.logits_stride, spec.num_experts, SizeOf(input.logits_dtype));
  CheckMatrix(*map, input.ids, rows, input.ids_stride, spec.top_k, SizeOf(input.id_type));
  CheckMatrix(*map, input.d_weights, rows, input.d_weights_stride, spec.top_k, SizeOf(input.d_weights_dtype));
  CheckMatrix(*map, input.d_probabilities, rows, input.d_probabilities_stride, spec.num_experts, sizeof(float));
  CheckMatrix(*map, output.d_logits, rows, output.d_logits_stride, spec.num_experts, SizeOf(output.d_logits_dtype));
  return Kernel([=] { EVENKEEL_CHECK(routing::RouteBackwardReference(spec, input, output).ok()); });
}

absl::StatusOr<Kernel> CountIdsKernel(const Map& map, const counting::IdsInput& input,
                                      const counting::CountOutput& output) {
  EVENKEEL_RETURN_IF_ERROR(counting::ValidateCount(input, output));
  if (input.rows == 0) return Kernel();
  CheckMatrix(*map, input.ids, input.rows, input.ids_stride, input.top_k, SizeOf(input.id_type));
  CheckArray(*map, input.valid_mask, input.rows);
  return CountKernel(map, counting::ReferenceCountIds, input, output);
}

absl::StatusOr<Kernel> AddCountsKernel(const Map& map, const counting::CountsInput& input,
                                       const counting::CountOutput& output) {
  EVENKEEL_RETURN_IF_ERROR(counting::ValidateCount(input, output));
  CheckArray(*map, input.counts, input.num_experts * (input.type == counting::CountType::kInt64 ? 8 : 4));
  return CountKernel(map, counting::ReferenceAddCounts, input, output);
}

absl::StatusOr<Kernel> ChecksumKernel(const Map& map, const void* words, int64_t num_words, uint64_t start,
                                      uint64_t* sum) {
  CheckArray(*map, static_cast<const uint32_t*>(words), num_words);
  CheckArray(*map, sum, 1);
  return Kernel([=] { AddAtomically(sum, checksum::Checksum(words, num_words, start)); });
}

absl::StatusOr<Kernel> NextStepKernel(const Map& map, const balance::NextStep& next) {
  EVENKEEL_RETURN_IF_ERROR(balance::ValidateNextStep(next));
  if (next.num_layers == 0) return Kernel();
  CheckArray(*map, next.skips, 1);
  CheckArray(*map, next.replays, 1);
  CheckArray(*map, next.tables, next.num_layers);
  CheckArray(*map, next.place, 1);
  CheckArray(*map, next.step, 1);
  CheckArray(*map, next.rates, next.num_layers);
  return Kernel([map, next] {
    for (int i = 0; i < next.num_layers; ++i) CheckTable(*map, next.tables[i]);
    OneThread<balance::NoMemory> block;
    balance::TakeNextStep(block, next);
  });
}

absl::StatusOr<Kernel> UpdateKernel(const Map& map, const balance::FlatUpdate& update) {
  if (update.num_layers < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("FlatUpdate.num_layers is ", update.num_layers, "; it must not be negative"));
  }
  if (update.num_layers == 0) return Kernel();
  EVENKEEL_CHECK(map->IsDevice(update.layers, update.num_layers * sizeof(balance::FlatLayer)));
  EVENKEEL_CHECK(map->IsDevice(update.step, sizeof(balance::FlatStep)));
  EVENKEEL_CHECK(map->IsDevice(update.rates, update.num_layers * sizeof(float)));
  EVENKEEL_CHECK(map->IsDevice(update.tokens, update.num_layers * sizeof(uint64_t)));
  EVENKEEL_CHECK(map->IsDevice(update.scalars, update.num_layers * sizeof(balance::LayerScalars)));
  EVENKEEL_CHECK(map->IsDevice(update.refused, update.num_layers * sizeof(uint32_t)));
  return Kernel([map, update] {
    for (int i = 0; i < update.num_layers; ++i) {
      CheckLayer(*map, update, update.layers[i]);
      OneThread<balance::BlockMemory<1>> block;
      balance::UpdateFlatLayer(block, update, i);
    }
  });
}

}  // namespace evenkeel::client
