// The C ABI over client::Worker: structs in, statuses out.

#include "evenkeel/evenkeel.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/capi/last_error.h"
#include "client/capi/versioned_struct.h"
#include "client/worker/process.h"
#include "client/worker/worker.h"
#include "evenkeel/options.h"

struct evenkeel_worker {
  std::unique_ptr<evenkeel::client::Worker> worker;
};

namespace {

using evenkeel::Assignments;
using evenkeel::FloatType;
using evenkeel::Gradients;
using evenkeel::GroupOptions;
using evenkeel::Ids;
using evenkeel::IntType;
using evenkeel::LayerOptions;
using evenkeel::LossOptions;
using evenkeel::OnLoss;
using evenkeel::StepReport;
using evenkeel::Tokens;
using evenkeel::WorkerOptions;
using evenkeel::client::CheckStruct;
using evenkeel::client::Guarded;
using evenkeel::client::InitStruct;
using evenkeel::client::ReadStruct;
using evenkeel::client::WriteStruct;

constexpr evenkeel_layer_options kLayerDefaults = {sizeof(evenkeel_layer_options), nullptr, 0, 0, nullptr, 1, nullptr};
constexpr evenkeel_tokens kTokensDefaults = {sizeof(evenkeel_tokens), 0, nullptr, 0, nullptr, EVENKEEL_FLOAT32};
constexpr evenkeel_assignments kAssignmentsDefaults = {sizeof(evenkeel_assignments), nullptr, nullptr, EVENKEEL_INT32,
                                                       EVENKEEL_FLOAT32};
constexpr evenkeel_gradients kGradientsDefaults = {
    sizeof(evenkeel_gradients), nullptr, EVENKEEL_INT32, EVENKEEL_FLOAT32, EVENKEEL_FLOAT32, nullptr, nullptr};
constexpr evenkeel_ids kIdsDefaults = {sizeof(evenkeel_ids), 0, nullptr, 0, nullptr, EVENKEEL_INT32};
constexpr evenkeel_report kReportDefaults = {sizeof(evenkeel_report), 0, 0, 0, 0, 0, nullptr, 0, 0, 0, 0};

// Those of WorkerOptions.
evenkeel_worker_options WorkerDefaults() {
  static const WorkerOptions& defaults = *new WorkerOptions();
  evenkeel_worker_options options = {};
  options.struct_size = sizeof(options);
  options.coordinator = defaults.coordinator.c_str();
  options.rank = defaults.rank;
  options.world_size = defaults.world_size;
  options.next_step = defaults.next_step;
  options.join_timeout_ms = defaults.join_timeout.count();
  options.begin_step_timeout_ms = defaults.begin_step_timeout.count();
  options.group_index = defaults.group.index;
  options.group_count = defaults.group.count;
  options.group_timeout_ms = defaults.group.timeout.count();
  options.lag = defaults.lag;
  options.on_loss = static_cast<int32_t>(defaults.loss.on_loss);
  options.loss_patience_ms = defaults.loss.patience.count();
  options.loss_log_steps = defaults.loss.log_steps;
  options.loss_fail_when_full = defaults.loss.fail_when_full ? 1 : 0;
  options.device = defaults.device;
  return options;
}

std::string StringOf(const char* text) { return text == nullptr ? std::string() : std::string(text); }

absl::Status CheckTimeout(const char* field, int64_t milliseconds) {
  if (milliseconds >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", milliseconds, "; it must not be negative"));
}

absl::StatusOr<std::vector<LayerOptions>> LayersOf(const evenkeel_worker_options& options) {
  std::vector<LayerOptions> layers;
  if (options.num_layers == 0) return layers;
  EVENKEEL_RETURN_IF_ERROR(CheckStruct("evenkeel_layer_options", options.layers));
  const size_t stride = options.layers->struct_size;
  const char* next = reinterpret_cast<const char*>(options.layers);
  for (size_t i = 0; i < options.num_layers; ++i, next += stride) {
    const auto* given = reinterpret_cast<const evenkeel_layer_options*>(next);
    if (given->struct_size != stride) {
      return absl::InvalidArgumentError(absl::StrCat("layers[", i, "].struct_size is ", given->struct_size,
                                                     ", that of layers[0] ", stride, "; they must be equal"));
    }
    evenkeel_layer_options layer;
    EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_layer_options", kLayerDefaults, given, &layer));
    layers.push_back(
        {StringOf(layer.name), layer.num_experts, layer.top_k, StringOf(layer.route), layer.owned != 0, {}});
    if (layer.initial_bias == nullptr) continue;
    // Nobody reads an array by a length that is none.
    EVENKEEL_RETURN_IF_ERROR(evenkeel::client::CheckSizes(layers.back()));
    layers.back().initial_bias.assign(layer.initial_bias, layer.initial_bias + layer.num_experts);
  }
  return layers;
}

absl::StatusOr<GroupOptions> GroupOf(const evenkeel_worker_options& options) {
  EVENKEEL_RETURN_IF_ERROR(CheckTimeout("group_timeout_ms", options.group_timeout_ms));
  if (options.num_group_ranks > 0 && options.group_ranks == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("group_ranks is null for ", options.num_group_ranks, " ranks"));
  }
  GroupOptions group;
  group.name = StringOf(options.group);
  group.expert_parallel_size = options.expert_parallel_size;
  group.ranks.assign(options.group_ranks, options.group_ranks + options.num_group_ranks);
  group.index = options.group_index;
  group.count = options.group_count;
  group.store = StringOf(options.group_store);
  group.interface = StringOf(options.group_interface);
  group.reducer = StringOf(options.group_reducer);
  group.nccl_comm = options.nccl_comm;
  group.timeout = std::chrono::milliseconds(options.group_timeout_ms);
  group.allow_divergence = options.allow_divergence != 0;
  return group;
}

absl::StatusOr<LossOptions> LossOf(const evenkeel_worker_options& options) {
  EVENKEEL_RETURN_IF_ERROR(CheckTimeout("loss_patience_ms", options.loss_patience_ms));
  if (options.on_loss < EVENKEEL_ON_LOSS_HOLD || options.on_loss > EVENKEEL_ON_LOSS_FAIL) {
    return absl::InvalidArgumentError(absl::StrCat("on_loss is ", options.on_loss, "; it is an EVENKEEL_ON_LOSS_..."));
  }
  LossOptions loss;
  loss.on_loss = static_cast<OnLoss>(options.on_loss);
  loss.patience = std::chrono::milliseconds(options.loss_patience_ms);
  loss.log_steps = options.loss_log_steps;
  loss.fail_when_full = options.loss_fail_when_full != 0;
  return loss;
}

absl::StatusOr<WorkerOptions> OptionsOf(const evenkeel_worker_options* given) {
  evenkeel_worker_options options;
  EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_worker_options", WorkerDefaults(), given, &options));
  EVENKEEL_RETURN_IF_ERROR(CheckTimeout("join_timeout_ms", options.join_timeout_ms));
  EVENKEEL_RETURN_IF_ERROR(CheckTimeout("begin_step_timeout_ms", options.begin_step_timeout_ms));
  WorkerOptions result;
  result.coordinator = StringOf(options.coordinator);
  result.job = StringOf(options.job);
  result.rank = options.rank;
  result.world_size = options.world_size;
  EVENKEEL_ASSIGN_OR_RETURN(result.group, GroupOf(options));
  EVENKEEL_ASSIGN_OR_RETURN(result.layers, LayersOf(options));
  result.balance = StringOf(options.balance);
  result.lag = options.lag;
  result.device = options.device;
  EVENKEEL_ASSIGN_OR_RETURN(result.loss, LossOf(options));
  result.next_step = options.next_step;
  result.join_timeout = std::chrono::milliseconds(options.join_timeout_ms);
  result.begin_step_timeout = std::chrono::milliseconds(options.begin_step_timeout_ms);
  return result;
}

absl::Status Join(const evenkeel_worker_options* given, evenkeel_worker** result) {
  if (result == nullptr) return absl::InvalidArgumentError("worker is null");
  *result = nullptr;
  EVENKEEL_ASSIGN_OR_RETURN(const WorkerOptions options, OptionsOf(given));
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<evenkeel::client::Worker> worker, evenkeel::client::Worker::Join(options));
  *result = new evenkeel_worker{std::move(worker)};
  return absl::OkStatus();
}

// What `call` answers of the worker, if there is one.
template <typename Handle, typename Call>
evenkeel_status WithWorker(Handle* handle, Call call) {
  return Guarded(
      [&] { return handle != nullptr ? call(*handle->worker) : absl::InvalidArgumentError("worker is null"); });
}

// Reads one of the enums above into that of options.h, which has the same numbers.
template <typename Type>
absl::Status ReadType(const char* field, int32_t number, Type last, Type* type) {
  if (number < 0 || number > static_cast<int32_t>(last)) {
    return absl::InvalidArgumentError(absl::StrCat(field, " is ", number, "; it is none of the types that there are"));
  }
  *type = static_cast<Type>(number);
  return absl::OkStatus();
}

absl::Status ReadFloatType(const char* field, int32_t number, FloatType* type) {
  return ReadType(field, number, FloatType::kFloat16, type);
}

absl::Status ReadIntType(const char* field, int32_t number, IntType* type) {
  return ReadType(field, number, IntType::kInt64, type);
}

absl::StatusOr<Tokens> TokensOf(const evenkeel_tokens* given) {
  evenkeel_tokens tokens;
  EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_tokens", kTokensDefaults, given, &tokens));
  Tokens result = {tokens.rows, tokens.logits, tokens.logits_stride, tokens.valid_mask};
  EVENKEEL_RETURN_IF_ERROR(ReadFloatType("logits_type", tokens.logits_type, &result.logits_type));
  return result;
}

absl::Status Route(evenkeel::client::Worker& worker, int32_t layer, const evenkeel_tokens* given_tokens,
                   const evenkeel_assignments* given_assignments) {
  EVENKEEL_ASSIGN_OR_RETURN(const Tokens tokens, TokensOf(given_tokens));
  evenkeel_assignments assignments;
  EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_assignments", kAssignmentsDefaults, given_assignments, &assignments));
  Assignments result = {assignments.ids, assignments.weights};
  EVENKEEL_RETURN_IF_ERROR(ReadIntType("ids_type", assignments.ids_type, &result.ids_type));
  EVENKEEL_RETURN_IF_ERROR(ReadFloatType("weights_type", assignments.weights_type, &result.weights_type));
  return worker.Route(layer, tokens, result);
}

absl::Status RouteBackward(evenkeel::client::Worker& worker, int32_t layer, const evenkeel_tokens* given_tokens,
                           const evenkeel_gradients* given_gradients) {
  EVENKEEL_ASSIGN_OR_RETURN(const Tokens tokens, TokensOf(given_tokens));
  evenkeel_gradients gradients;
  EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_gradients", kGradientsDefaults, given_gradients, &gradients));
  Gradients result;
  result.ids = gradients.ids;
  result.d_weights = gradients.d_weights;
  result.d_logits = gradients.d_logits;
  EVENKEEL_RETURN_IF_ERROR(ReadIntType("ids_type", gradients.ids_type, &result.ids_type));
  EVENKEEL_RETURN_IF_ERROR(ReadFloatType("d_weights_type", gradients.d_weights_type, &result.d_weights_type));
  EVENKEEL_RETURN_IF_ERROR(ReadFloatType("d_logits_type", gradients.d_logits_type, &result.d_logits_type));
  return worker.RouteBackward(layer, tokens, result);
}

absl::Status Count(evenkeel::client::Worker& worker, int32_t layer, const evenkeel_ids* given) {
  evenkeel_ids ids;
  EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_ids", kIdsDefaults, given, &ids));
  Ids result = {ids.rows, ids.ids, ids.ids_stride, ids.valid_mask};
  EVENKEEL_RETURN_IF_ERROR(ReadIntType("ids_type", ids.ids_type, &result.ids_type));
  return worker.Count(layer, result);
}

absl::Status ReadReport(const evenkeel::client::Worker& worker, evenkeel_report* report) {
  EVENKEEL_RETURN_IF_ERROR(CheckStruct("evenkeel_report", report));
  const StepReport& known = worker.report();
  WriteStruct(evenkeel_report{sizeof(evenkeel_report), known.epoch, known.step, known.ok ? 1 : 0, known.bias_hash,
                              known.tokens, known.max_violation.data(), known.max_violation.size(), known.staleness,
                              known.undelivered_steps, known.lost_steps},
              report);
  return absl::OkStatus();
}

}  // namespace

extern "C" {

uint32_t evenkeel_api_version(void) { return EVENKEEL_API_VERSION; }

const char* evenkeel_library_version(void) { return evenkeel::client::kLibraryVersion; }

const char* evenkeel_last_error(void) { return evenkeel::client::LastError(); }

void evenkeel_layer_options_init(evenkeel_layer_options* options, size_t struct_size) {
  InitStruct(kLayerDefaults, options, struct_size);
}

void evenkeel_worker_options_init(evenkeel_worker_options* options, size_t struct_size) {
  InitStruct(WorkerDefaults(), options, struct_size);
}

void evenkeel_tokens_init(evenkeel_tokens* tokens, size_t struct_size) {
  InitStruct(kTokensDefaults, tokens, struct_size);
}

void evenkeel_assignments_init(evenkeel_assignments* assignments, size_t struct_size) {
  InitStruct(kAssignmentsDefaults, assignments, struct_size);
}

void evenkeel_gradients_init(evenkeel_gradients* gradients, size_t struct_size) {
  InitStruct(kGradientsDefaults, gradients, struct_size);
}

void evenkeel_ids_init(evenkeel_ids* ids, size_t struct_size) { InitStruct(kIdsDefaults, ids, struct_size); }

void evenkeel_report_init(evenkeel_report* report, size_t struct_size) {
  InitStruct(kReportDefaults, report, struct_size);
}

evenkeel_status evenkeel_worker_join(const evenkeel_worker_options* options, evenkeel_worker** worker) {
  return Guarded([&] { return Join(options, worker); });
}

void evenkeel_worker_destroy(evenkeel_worker* worker) { delete worker; }

evenkeel_status evenkeel_begin_step(evenkeel_worker* worker, uint64_t step) {
  return WithWorker(worker, [&](auto& known) { return known.BeginStep(step); });
}

evenkeel_status evenkeel_route(evenkeel_worker* worker, int32_t layer, const evenkeel_tokens* tokens,
                               const evenkeel_assignments* assignments) {
  return WithWorker(worker, [&](auto& known) { return Route(known, layer, tokens, assignments); });
}

evenkeel_status evenkeel_route_backward(evenkeel_worker* worker, int32_t layer, const evenkeel_tokens* tokens,
                                        const evenkeel_gradients* gradients) {
  return WithWorker(worker, [&](auto& known) { return RouteBackward(known, layer, tokens, gradients); });
}

evenkeel_status evenkeel_count(evenkeel_worker* worker, int32_t layer, const evenkeel_ids* ids) {
  return WithWorker(worker, [&](auto& known) { return Count(known, layer, ids); });
}

evenkeel_status evenkeel_add_counts(evenkeel_worker* worker, int32_t layer, const uint64_t* counts,
                                    uint64_t valid_tokens, uint64_t short_slots) {
  return WithWorker(worker, [&](auto& known) { return known.AddCounts(layer, counts, valid_tokens, short_slots); });
}

evenkeel_status evenkeel_commit(evenkeel_worker* worker, uint64_t step, int32_t ok) {
  return WithWorker(worker, [&](auto& known) { return known.Commit(step, ok != 0); });
}

evenkeel_status evenkeel_set_stream(evenkeel_worker* worker, void* stream) {
  return WithWorker(worker, [&](auto& known) { return known.SetStream(stream); });
}

const float* evenkeel_bias(const evenkeel_worker* worker, int32_t layer) {
  return worker != nullptr ? worker->worker->bias(layer) : nullptr;
}

const char* evenkeel_summary(const evenkeel_worker* worker) {
  return worker != nullptr ? worker->worker->summary().c_str() : "";
}

evenkeel_status evenkeel_read_report(const evenkeel_worker* worker, evenkeel_report* report) {
  return WithWorker(worker, [&](const auto& known) { return ReadReport(known, report); });
}

evenkeel_status evenkeel_leave(evenkeel_worker* worker) {
  return WithWorker(worker, [&](auto& known) { return known.Leave(); });
}

}  // extern "C"
