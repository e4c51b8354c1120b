#include "client/capi/options_of.h"

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/capi/versioned_struct.h"
#include "client/worker/layer_table.h"

namespace evenkeel::client {
namespace {

constexpr evenkeel_layer_options kLayerDefaults = {
    sizeof(evenkeel_layer_options), nullptr, 0, 0, nullptr, /*owned=*/1, nullptr, nullptr, /*streams=*/1, 0};

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
    layers.push_back({StringOf(layer.name), layer.num_experts, layer.top_k, StringOf(layer.route), layer.owned != 0,
                      /*initial_bias=*/{}, StringOf(layer.balance), layer.streams, layer.counts_dispatched != 0});
    if (layer.initial_bias == nullptr) continue;
    // Nobody reads an array by a length that is none.
    EVENKEEL_RETURN_IF_ERROR(CheckSizes(layers.back()));
    layers.back().initial_bias.assign(layer.initial_bias,
                                      layer.initial_bias + size_t(layer.num_experts) * layer.streams);
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

// Reads one of the header's enums into that of options.h, which has the same numbers.
template <typename Enum>
absl::Status ReadEnum(const char* field, int32_t number, Enum last, const char* prefix, Enum* value) {
  if (number < 0 || number > static_cast<int32_t>(last)) {
    return absl::InvalidArgumentError(absl::StrCat(field, " is ", number, "; it is an EVENKEEL_", prefix, "_..."));
  }
  *value = static_cast<Enum>(number);
  return absl::OkStatus();
}

absl::StatusOr<LossOptions> LossOf(const evenkeel_worker_options& options) {
  EVENKEEL_RETURN_IF_ERROR(CheckTimeout("loss_patience_ms", options.loss_patience_ms));
  LossOptions loss;
  EVENKEEL_RETURN_IF_ERROR(ReadEnum("on_loss", options.on_loss, OnLoss::kFail, "ON_LOSS", &loss.on_loss));
  loss.patience = std::chrono::milliseconds(options.loss_patience_ms);
  loss.log_steps = options.loss_log_steps;
  loss.fail_when_full = options.loss_fail_when_full != 0;
  return loss;
}

absl::Status ReadJobOptions(const evenkeel_worker_options& options, WorkerOptions* result) {
  EVENKEEL_RETURN_IF_ERROR(ReadEnum("resume", options.resume, Resume::kCatchUp, "RESUME", &result->resume));
  EVENKEEL_RETURN_IF_ERROR(ReadEnum("mode", options.mode, JobMode::kObserve, "MODE", &result->mode));
  EVENKEEL_RETURN_IF_ERROR(ReadEnum("on_skip", options.on_skip, OnSkip::kApply, "ON_SKIP", &result->on_skip));
  EVENKEEL_RETURN_IF_ERROR(
      ReadEnum("on_violation", options.on_violation, OnViolation::kHalt, "ON_VIOLATION", &result->on_violation));
  EVENKEEL_RETURN_IF_ERROR(
      ReadEnum("on_missing", options.on_missing, OnMissing::kCommitWithout, "ON_MISSING", &result->on_missing));
  result->membership = StringOf(options.membership);
  if (options.state == nullptr && options.state_size > 0) {
    return absl::InvalidArgumentError(absl::StrCat("state is null for ", options.state_size, " bytes"));
  }
  result->state.assign(static_cast<const char*>(options.state), options.state_size);
  result->tokens_per_step = options.tokens_per_step;
  return absl::OkStatus();
}

std::function<void(const WorkerFigures&)> OnCommitOf(const evenkeel_worker_options& options) {
  if (options.on_commit == nullptr) return nullptr;
  return [on_commit = options.on_commit, context = options.on_commit_context](const WorkerFigures& told) {
    evenkeel_figures figures = {};
    figures.struct_size = sizeof(figures);
    figures.step = told.step;
    figures.staleness = told.staleness;
    figures.undelivered_steps = told.undelivered_steps;
    figures.lost_steps = told.lost_steps;
    figures.commit_host_ns = told.commit_host_time.count();
    figures.counting = static_cast<int32_t>(told.counting);
    on_commit(&figures, context);
  };
}

}  // namespace

void InitLayerOptions(evenkeel_layer_options* options, size_t struct_size) {
  InitStruct(kLayerDefaults, options, struct_size);
}

void InitWorkerOptions(evenkeel_worker_options* options, size_t struct_size) {
  InitStruct(WorkerDefaults(), options, struct_size);
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
  EVENKEEL_RETURN_IF_ERROR(ReadJobOptions(options, &result));
  result.next_step = options.next_step;
  result.join_timeout = std::chrono::milliseconds(options.join_timeout_ms);
  result.begin_step_timeout = std::chrono::milliseconds(options.begin_step_timeout_ms);
  result.tls = {StringOf(options.tls_ca), StringOf(options.tls_certificate), StringOf(options.tls_private_key),
                StringOf(options.tls_server_name)};
  result.token = StringOf(options.token);
  result.token_file = StringOf(options.token_file);
  result.on_commit = OnCommitOf(options);
  return result;
}

}  // namespace evenkeel::client
