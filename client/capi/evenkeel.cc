// The C ABI over client::Worker: structs in, statuses out.

#include "evenkeel/evenkeel.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/capi/last_error.h"
#include "client/capi/options_of.h"
#include "client/capi/versioned_struct.h"
#include "client/worker/process.h"
#include "client/worker/worker.h"
#include "evenkeel/options.h"

struct evenkeel_worker {
  std::unique_ptr<evenkeel::client::Worker> worker;
};

namespace {

using evenkeel::Assignments;
using evenkeel::Counting;
using evenkeel::Counts;
using evenkeel::FloatType;
using evenkeel::Gradients;
using evenkeel::Ids;
using evenkeel::IntType;
using evenkeel::StepReport;
using evenkeel::Tokens;
using evenkeel::WorkerOptions;
using evenkeel::client::CheckStruct;
using evenkeel::client::Guarded;
using evenkeel::client::InitStruct;
using evenkeel::client::OptionsOf;
using evenkeel::client::ReadStruct;
using evenkeel::client::WriteStruct;

constexpr evenkeel_tokens kTokensDefaults = {sizeof(evenkeel_tokens), 0,       nullptr, 0, nullptr, EVENKEEL_FLOAT32, 0,
                                             /*micro_batch=*/-1,      nullptr, 0};
constexpr evenkeel_assignments kAssignmentsDefaults = {
    sizeof(evenkeel_assignments), nullptr, nullptr, EVENKEEL_INT32, EVENKEEL_FLOAT32, 0};
constexpr evenkeel_gradients kGradientsDefaults = {
    sizeof(evenkeel_gradients), nullptr, EVENKEEL_INT32, EVENKEEL_FLOAT32, EVENKEEL_FLOAT32, nullptr, nullptr};
constexpr evenkeel_ids kIdsDefaults = {sizeof(evenkeel_ids), 0, nullptr,           0, nullptr,
                                       EVENKEEL_INT32,       0, /*micro_batch=*/-1};
constexpr evenkeel_counts kCountsDefaults = {sizeof(evenkeel_counts), nullptr, 0, 0, 0, /*micro_batch=*/-1};
constexpr evenkeel_report kReportDefaults = {sizeof(evenkeel_report), 0, 0, 0, 0, 0, nullptr, 0, 0, 0, 0, 0, 0, 0};

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
    return absl::InvalidArgumentError(absl::StrCat(field, " is ", number, "; it is none of those that there are"));
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
  result.stream = tokens.stream;
  result.micro_batch = tokens.micro_batch;
  result.replay_ids = tokens.replay_ids;
  result.replay_stride = tokens.replay_stride;
  EVENKEEL_RETURN_IF_ERROR(ReadFloatType("logits_type", tokens.logits_type, &result.logits_type));
  return result;
}

absl::Status Route(evenkeel::client::Worker& worker, int32_t layer, const evenkeel_tokens* given_tokens,
                   const evenkeel_assignments* given_assignments) {
  EVENKEEL_ASSIGN_OR_RETURN(const Tokens tokens, TokensOf(given_tokens));
  evenkeel_assignments assignments;
  EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_assignments", kAssignmentsDefaults, given_assignments, &assignments));
  Assignments result = {assignments.ids, assignments.weights};
  result.keep_masked = assignments.keep_masked != 0;
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

absl::StatusOr<Ids> IdsOf(const evenkeel_ids* given) {
  evenkeel_ids ids;
  EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_ids", kIdsDefaults, given, &ids));
  Ids result = {ids.rows, ids.ids, ids.ids_stride, ids.valid_mask};
  result.stream = ids.stream;
  result.micro_batch = ids.micro_batch;
  EVENKEEL_RETURN_IF_ERROR(ReadIntType("ids_type", ids.ids_type, &result.ids_type));
  return result;
}

absl::StatusOr<Counts> CountsOf(const evenkeel_counts* given) {
  evenkeel_counts counts;
  EVENKEEL_RETURN_IF_ERROR(ReadStruct("evenkeel_counts", kCountsDefaults, given, &counts));
  return Counts{counts.counts, counts.valid_tokens, counts.short_slots, counts.stream, counts.micro_batch};
}

absl::Status ReadReport(const evenkeel::client::Worker& worker, evenkeel_report* report) {
  EVENKEEL_RETURN_IF_ERROR(CheckStruct("evenkeel_report", report));
  const StepReport& known = worker.report();
  WriteStruct(
      evenkeel_report{sizeof(evenkeel_report), known.epoch, known.step, known.ok ? 1 : 0, known.bias_hash, known.tokens,
                      known.max_violation.data(), known.max_violation.size(), known.staleness, known.undelivered_steps,
                      known.lost_steps, known.violations, known.halted ? 1 : 0, known.contributors},
      report);
  return absl::OkStatus();
}

}  // namespace

extern "C" {

uint32_t evenkeel_api_version(void) { return EVENKEEL_API_VERSION; }

const char* evenkeel_library_version(void) { return evenkeel::client::kLibraryVersion; }

const char* evenkeel_last_error(void) { return evenkeel::client::LastError(); }

void evenkeel_layer_options_init(evenkeel_layer_options* options, size_t struct_size) {
  evenkeel::client::InitLayerOptions(options, struct_size);
}

void evenkeel_worker_options_init(evenkeel_worker_options* options, size_t struct_size) {
  evenkeel::client::InitWorkerOptions(options, struct_size);
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

void evenkeel_counts_init(evenkeel_counts* counts, size_t struct_size) {
  InitStruct(kCountsDefaults, counts, struct_size);
}

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
  return WithWorker(worker, [&](auto& known) -> absl::Status {
    EVENKEEL_ASSIGN_OR_RETURN(const Ids given, IdsOf(ids));
    return known.Count(layer, given);
  });
}

evenkeel_status evenkeel_add_counts(evenkeel_worker* worker, int32_t layer, const evenkeel_counts* counts) {
  return WithWorker(worker, [&](auto& known) -> absl::Status {
    EVENKEEL_ASSIGN_OR_RETURN(const Counts given, CountsOf(counts));
    return known.AddCounts(layer, given);
  });
}

evenkeel_status evenkeel_commit(evenkeel_worker* worker, uint64_t step, int32_t ok) {
  return WithWorker(worker, [&](auto& known) { return known.Commit(step, ok != 0); });
}

evenkeel_status evenkeel_set_stream(evenkeel_worker* worker, void* stream) {
  return WithWorker(worker, [&](auto& known) { return known.SetStream(stream); });
}

const float* evenkeel_bias(const evenkeel_worker* worker, int32_t layer) {
  return evenkeel_stream_bias(worker, layer, /*stream=*/0);
}

const float* evenkeel_stream_bias(const evenkeel_worker* worker, int32_t layer, int32_t stream) {
  return worker != nullptr ? worker->worker->bias(layer, stream) : nullptr;
}

evenkeel_status evenkeel_count_dispatched(evenkeel_worker* worker, int32_t layer, const evenkeel_ids* ids) {
  return WithWorker(worker, [&](auto& known) -> absl::Status {
    EVENKEEL_ASSIGN_OR_RETURN(const Ids given, IdsOf(ids));
    return known.CountDispatched(layer, given);
  });
}

evenkeel_status evenkeel_add_dispatched(evenkeel_worker* worker, int32_t layer, const evenkeel_counts* counts) {
  return WithWorker(worker, [&](auto& known) -> absl::Status {
    EVENKEEL_ASSIGN_OR_RETURN(const Counts given, CountsOf(counts));
    return known.AddDispatched(layer, given);
  });
}

evenkeel_status evenkeel_set_counting(evenkeel_worker* worker, int32_t counting) {
  return WithWorker(worker, [&](auto& known) -> absl::Status {
    Counting mode = Counting::kTrain;
    EVENKEEL_RETURN_IF_ERROR(ReadType("counting", counting, Counting::kReplay, &mode));
    return known.SetCounting(mode);
  });
}

evenkeel_status evenkeel_begin_capture(evenkeel_worker* worker) {
  return WithWorker(worker, [](auto& known) { return known.BeginCapture(); });
}

evenkeel_status evenkeel_end_capture(evenkeel_worker* worker) {
  return WithWorker(worker, [](auto& known) { return known.EndCapture(); });
}

evenkeel_status evenkeel_save_state(evenkeel_worker* worker, const void** state, size_t* size) {
  return WithWorker(worker, [&](auto& known) -> absl::Status {
    if (state == nullptr || size == nullptr) return absl::InvalidArgumentError("state or size is null");
    EVENKEEL_ASSIGN_OR_RETURN(const std::string* const saved, known.SaveState());
    *state = saved->data();
    *size = saved->size();
    return absl::OkStatus();
  });
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
