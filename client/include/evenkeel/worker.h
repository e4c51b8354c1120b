#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "evenkeel/evenkeel.h"
#include "evenkeel/options.h"
#include "evenkeel/status.h"

// The C++ face of libevenkeel: header-only, over the C ABI of evenkeel.h, so that it does not matter which compiler and
// which standard library made the one and the other.
namespace evenkeel {

namespace internal {

inline evenkeel_tokens CTokens(const Tokens& tokens) {
  return {sizeof(evenkeel_tokens), tokens.rows,        tokens.logits,
          tokens.logits_stride,    tokens.valid_mask,  static_cast<int32_t>(tokens.logits_type),
          tokens.stream,           tokens.micro_batch, tokens.replay_ids,
          tokens.replay_stride};
}

inline evenkeel_ids CIds(const Ids& ids) {
  return {sizeof(evenkeel_ids), ids.rows,       ids.ids,
          ids.ids_stride,       ids.valid_mask, static_cast<int32_t>(ids.ids_type),
          ids.stream,           ids.micro_batch};
}

inline evenkeel_counts CCounts(const Counts& counts) {
  return {sizeof(evenkeel_counts), counts.counts, counts.valid_tokens,
          counts.short_slots,      counts.stream, counts.micro_batch};
}

}  // namespace internal

// A training worker's end of the loop:
//
//   BeginStep(step) -> Route() or Count() for every layer and micro-batch -> Commit(step) -> BeginStep(step + 1) -> ...
//
// Counting is local; Commit hands the sums to a thread of the library, which delivers them, once, through restarts of
// the coordinator. Only Join, BeginStep and Leave wait, and each no longer than its bound; and, once, the first Commit
// of a group that reduces on its devices.
//
// On a GPU (WorkerOptions::device) nothing waits for it: calls enqueue their work on the trainer's stream (SetStream)
// and come back; evenkeel.h says how a step goes there.
//
// One thread at a time may call a Worker. What bias() points to may be read by any thread, and is written only in
// BeginStep and Leave.
class Worker {
 public:
  // Registers with the coordinator and fetches the bias.
  //   INVALID_ARGUMENT     an option is wrong, or differs from what the other workers say; the message names it. Or
  //                        replicas would diverge, and that was not asked for
  //   FAILED_PRECONDITION  the job is at another step than next_step; the message names it. Or there is no coordinator,
  //                        and next_step is not 1. Or the libevenkeel that was loaded is older than this header
  //   ALREADY_EXISTS       a newer process holds this rank's place
  //   DEADLINE_EXCEEDED    no coordinator answered within join_timeout, or a rank of the group did not come
  static Result<std::unique_ptr<Worker>> Join(const WorkerOptions& options);

  // Breaks off what is on its way, at once (on a device within two seconds); only while the ranks of a group still
  // connect, after the first commit, does it wait for them, or for group.timeout. Without a Leave before it, the slot
  // stays this process's until a new one replaces it.
  ~Worker() { evenkeel_worker_destroy(worker_); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Makes the bias valid from `step` the current one, waiting for the commit that makes it; or does without, as
  // LossOptions say.
  //   DEADLINE_EXCEEDED    it did not come within begin_step_timeout; the call may be repeated
  //   FAILED_PRECONDITION  `step` is not the one after the last commit
  //   anything else        the coordinator refused a commit, a rank of the group is lost, or a loss is an error; the
  //                        message says why, and it is final
  Status BeginStep(uint64_t step) { return Refreshed(evenkeel_begin_step(worker_, step)); }

  // Routes tokens of `layer` (an index of WorkerOptions::layers) with the current bias and counts the assignments.
  // FAILED_PRECONDITION outside BeginStep..Commit, unless kEvaluate, or for a layer without a route; INVALID_ARGUMENT
  // for an index that is no layer's, negative rows, missing logits, a stride below num_experts, or replay_ids that are
  // missing with kReplay or given without. Nothing is written or counted then. NaN and infinite logits are data.
  Status Route(int layer, const Tokens& tokens, const Assignments& assignments) {
    const evenkeel_tokens from = internal::CTokens(tokens);
    const evenkeel_assignments to = {sizeof(to),
                                     assignments.ids,
                                     assignments.weights,
                                     static_cast<int32_t>(assignments.ids_type),
                                     static_cast<int32_t>(assignments.weights_type),
                                     assignments.keep_masked ? 1 : 0};
    return Outcome(evenkeel_route(worker_, layer, &from, &to));
  }

  // The backward pass of Route(): the gradient of a loss by the logits, from its gradient by the weights. The bias has
  // no part in it. `tokens` as they were routed; its valid_mask and stream are not read: rows without ids have no
  // gradient, and one call is of the rows of all streams. May be called at any time. Errors as of Route(); nothing is
  // written then.
  Status RouteBackward(int layer, const Tokens& tokens, const Gradients& gradients) {
    const evenkeel_tokens of = internal::CTokens(tokens);
    const evenkeel_gradients with = {sizeof(with),
                                     gradients.ids,
                                     static_cast<int32_t>(gradients.ids_type),
                                     static_cast<int32_t>(gradients.d_weights_type),
                                     static_cast<int32_t>(gradients.d_logits_type),
                                     gradients.d_weights,
                                     gradients.d_logits};
    return Outcome(evenkeel_route_backward(worker_, layer, &of, &with));
  }

  // Counts the assignments of a router of the trainer's own. INVALID_ARGUMENT, naming row and id, for an id outside
  // -1 .. num_experts - 1 or one that a row holds twice; nothing is counted then. On a device such a row is found
  // later: it is not counted, and a later BeginStep fails for good.
  Status Count(int layer, const Ids& ids) {
    const evenkeel_ids from = internal::CIds(ids);
    return Outcome(evenkeel_count(worker_, layer, &from));
  }
  // ids [rows, top_k].
  Status Count(int layer, const int32_t* ids, int64_t rows, const uint8_t* valid_mask = nullptr) {
    return Count(layer, Ids{rows, ids, 0, valid_mask, IntType::kInt32});
  }
  Status Count(int layer, const int64_t* ids, int64_t rows, const uint8_t* valid_mask = nullptr) {
    return Count(layer, Ids{rows, ids, 0, valid_mask, IntType::kInt64});
  }

  // Counts what the trainer has counted. INVALID_ARGUMENT where the sums do not add up, and nothing is counted then; on
  // a device as for Count.
  Status AddCounts(int layer, const Counts& counts) {
    const evenkeel_counts from = internal::CCounts(counts);
    return Outcome(evenkeel_add_counts(worker_, layer, &from));
  }
  Status AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots = 0) {
    return AddCounts(layer, Counts{counts, valid_tokens, short_slots});
  }

  // What a capacity limit left of the assignments of a layer with counts_dispatched: ids of which those that were
  // dropped are -1, or sums, of which valid_tokens and short_slots are not read. Never more for an expert than was
  // routed to it, or the step is refused. Errors as of Count; FAILED_PRECONDITION where the layer does not count them.
  Status CountDispatched(int layer, const Ids& ids) {
    const evenkeel_ids from = internal::CIds(ids);
    return Outcome(evenkeel_count_dispatched(worker_, layer, &from));
  }
  Status AddDispatched(int layer, const Counts& counts) {
    const evenkeel_counts from = internal::CCounts(counts);
    return Outcome(evenkeel_add_dispatched(worker_, layer, &from));
  }

  // What becomes of what is routed and counted from now on; at first kTrain. FAILED_PRECONDITION in a step, unless it
  // goes to kEvaluate or back from there. While it is kEvaluate, BeginStep and Commit are FAILED_PRECONDITION: nobody
  // trains on without counting.
  Status SetCounting(Counting counting) {
    return Outcome(evenkeel_set_counting(worker_, static_cast<int32_t>(counting)));
  }

  // Around the capture of CUDA graphs: what is counted between the two is taken back at the end, whatever ran there,
  // and a micro_batch that was captured is not taken for one that was counted. Passes that warm up for a capture belong
  // inside. In a step, not nested, and not while the stream itself captures; FAILED_PRECONDITION otherwise.
  Status BeginCapture() { return Outcome(evenkeel_begin_capture(worker_)); }
  Status EndCapture() { return Outcome(evenkeel_end_capture(worker_)); }

  // Ends the step: the counts of all layers go to the coordinator in the background. With ok = false the optimizer step
  // was not taken on this worker: the step moves no bias on any.
  // FAILED_PRECONDITION when `step` is not the one that BeginStep began. Where a group reduces on its devices, the
  // first Commit waits until its ranks are connected, no longer than group.timeout; and an error there, or of a rank
  // that was lost since, is final.
  Status Commit(uint64_t step, bool ok = true) { return Outcome(evenkeel_commit(worker_, step, ok)); }

  // What is enqueued on the device from now on, is on `stream`, a cudaStream_t; by default it is the legacy default
  // stream. One stream at a time routes and counts: another waits for it, as the trainer's own work does.
  // FAILED_PRECONDITION where there is no device.
  Status SetStream(void* stream) { return Outcome(evenkeel_set_stream(worker_, stream)); }

  // The current bias of `layer`: float32 [num_experts], at an address that stays the same as long as the Worker. Null
  // for an index that is no layer's.
  const float* bias(int layer) const { return evenkeel_bias(worker_, layer); }
  // Likewise of one of the layer's streams; bias(layer) is that of stream 0.
  const float* bias(int layer, int stream) const { return evenkeel_stream_bias(worker_, layer, stream); }

  // The whole state of the job after the last step that was committed, for the trainer's checkpoint of that step
  // (WorkerOptions::state). Between steps, or after Leave (FAILED_PRECONDITION otherwise). Waits, for
  // begin_step_timeout, until the step is committed (DEADLINE_EXCEEDED; it may be called again). Any rank may save, for
  // all. Errors else as of BeginStep, but none is final.
  Result<std::string> SaveState() {
    const void* state = nullptr;
    size_t size = 0;
    const Status status = Outcome(evenkeel_save_state(worker_, &state, &size));
    if (!status.ok()) return status;
    return std::string(static_cast<const char*>(state), size);
  }

  // What the worker is part of, and by what rule its bias moves, in one line: for the log of a training run.
  const char* summary() const { return evenkeel_summary(worker_); }

  // Of the current bias; belongs to the Worker and changes with bias().
  const StepReport& report() const { return report_; }

  // Waits, for begin_step_timeout, until all steps are committed, makes the version of the last one current, and gives
  // the slot back; all ranks of a group leave together. What was counted since BeginStep without a Commit is dropped.
  // Errors as of BeginStep; after OK, further calls are OK too.
  Status Leave() { return Refreshed(evenkeel_leave(worker_)); }

 private:
  using OnCommit = std::function<void(const WorkerFigures&)>;

  Worker(evenkeel_worker* worker, std::unique_ptr<OnCommit> on_commit)
      : worker_(worker), on_commit_(std::move(on_commit)) {}

  // Of a call of this thread that has just come back.
  static Status Outcome(evenkeel_status status) {
    if (status == EVENKEEL_OK) return Status();
    return Status(static_cast<StatusCode>(status), evenkeel_last_error());
  }

  Status Refreshed(evenkeel_status status) {
    if (status != EVENKEEL_OK) return Outcome(status);
    evenkeel_report report;
    evenkeel_report_init(&report, sizeof(report));
    status = evenkeel_read_report(worker_, &report);
    if (status != EVENKEEL_OK) return Outcome(status);
    report_.epoch = report.epoch;
    report_.step = report.step;
    report_.ok = report.ok != 0;
    report_.bias_hash = report.bias_hash;
    report_.tokens = report.tokens;
    report_.staleness = report.staleness;
    report_.undelivered_steps = report.undelivered_steps;
    report_.lost_steps = report.lost_steps;
    report_.violations = report.violations;
    report_.halted = report.halted != 0;
    report_.contributors = report.contributors;
    report_.max_violation.assign(report.max_violation, report.max_violation + report.num_layers);
    return Status();
  }

  evenkeel_worker* const worker_;
  // What the C ABI calls.
  const std::unique_ptr<OnCommit> on_commit_;
  StepReport report_;
};

namespace internal {

// A string as the C ABI takes it. One with a zero byte in it would be another there.
inline Status CString(const char* field, const std::string& text, const char** string) {
  *string = text.c_str();
  if (text.find('\0') == std::string::npos) return Status();
  return Status(StatusCode::kInvalidArgument, std::string(field) + " has a zero byte in it");
}

inline Status CLayers(const std::vector<LayerOptions>& layers, std::vector<evenkeel_layer_options>* result) {
  result->resize(layers.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    evenkeel_layer_options& layer = (*result)[i];
    evenkeel_layer_options_init(&layer, sizeof(layer));
    layer.num_experts = layers[i].num_experts;
    layer.top_k = layers[i].top_k;
    layer.owned = layers[i].owned ? 1 : 0;
    layer.streams = layers[i].streams;
    layer.counts_dispatched = layers[i].counts_dispatched ? 1 : 0;
    if (!layers[i].initial_bias.empty()) {
      const int64_t values = int64_t{layers[i].num_experts} * layers[i].streams;
      if (static_cast<int64_t>(layers[i].initial_bias.size()) != values) {
        return Status(StatusCode::kInvalidArgument, "layer \"" + layers[i].name + "\": initial_bias has " +
                                                        std::to_string(layers[i].initial_bias.size()) +
                                                        " values; streams times num_experts is " +
                                                        std::to_string(values));
      }
      layer.initial_bias = layers[i].initial_bias.data();
    }
    Status status = CString("a layer's name", layers[i].name, &layer.name);
    if (status.ok()) status = CString("a layer's route", layers[i].route, &layer.route);
    if (status.ok()) status = CString("a layer's balance", layers[i].balance, &layer.balance);
    if (!status.ok()) return status;
  }
  return Status();
}

// Points into `group`.
inline Status CGroup(const GroupOptions& group, evenkeel_worker_options* result) {
  result->expert_parallel_size = group.expert_parallel_size;
  result->group_index = group.index;
  result->group_count = group.count;
  result->allow_divergence = group.allow_divergence ? 1 : 0;
  result->group_ranks = group.ranks.data();
  result->num_group_ranks = group.ranks.size();
  result->group_timeout_ms = group.timeout.count();
  result->nccl_comm = group.nccl_comm;
  Status status = CString("group.name", group.name, &result->group);
  if (status.ok()) status = CString("group.store", group.store, &result->group_store);
  if (status.ok()) status = CString("group.interface", group.interface, &result->group_interface);
  if (status.ok()) status = CString("group.reducer", group.reducer, &result->group_reducer);
  return status;
}

inline void CLoss(const LossOptions& loss, evenkeel_worker_options* result) {
  result->on_loss = static_cast<int32_t>(loss.on_loss);
  result->loss_patience_ms = loss.patience.count();
  result->loss_log_steps = loss.log_steps;
  result->loss_fail_when_full = loss.fail_when_full ? 1 : 0;
}

// Points into `options`.
inline Status CCredentials(const WorkerOptions& options, evenkeel_worker_options* result) {
  Status status = CString("tls.ca", options.tls.ca, &result->tls_ca);
  if (status.ok()) status = CString("tls.certificate", options.tls.certificate, &result->tls_certificate);
  if (status.ok()) status = CString("tls.private_key", options.tls.private_key, &result->tls_private_key);
  if (status.ok()) status = CString("tls.server_name", options.tls.server_name, &result->tls_server_name);
  if (status.ok()) status = CString("token", options.token, &result->token);
  if (status.ok()) status = CString("token_file", options.token_file, &result->token_file);
  return status;
}

// Calls the std::function that `context` points to.
inline void COnCommit(const evenkeel_figures* figures, void* context) noexcept {
  WorkerFigures told;
  told.step = figures->step;
  told.staleness = figures->staleness;
  told.undelivered_steps = figures->undelivered_steps;
  told.lost_steps = figures->lost_steps;
  told.commit_host_time = std::chrono::nanoseconds(figures->commit_host_ns);
  told.counting = static_cast<Counting>(figures->counting);
  (*static_cast<std::function<void(const WorkerFigures&)>*>(context))(told);
}

// Points into `options` and `layers`.
inline Status COptions(const WorkerOptions& options, const std::vector<evenkeel_layer_options>& layers,
                       evenkeel_worker_options* result) {
  evenkeel_worker_options_init(result, sizeof(*result));
  result->rank = options.rank;
  result->world_size = options.world_size;
  result->layers = layers.data();
  result->num_layers = layers.size();
  result->next_step = options.next_step;
  result->lag = options.lag;
  result->device = options.device;
  result->resume = static_cast<int32_t>(options.resume);
  result->mode = static_cast<int32_t>(options.mode);
  result->on_skip = static_cast<int32_t>(options.on_skip);
  result->on_violation = static_cast<int32_t>(options.on_violation);
  result->on_missing = static_cast<int32_t>(options.on_missing);
  if (!options.state.empty()) result->state = options.state.data();
  result->state_size = options.state.size();
  result->tokens_per_step = options.tokens_per_step;
  CLoss(options.loss, result);
  result->join_timeout_ms = options.join_timeout.count();
  result->begin_step_timeout_ms = options.begin_step_timeout.count();
  Status status = CString("coordinator", options.coordinator, &result->coordinator);
  if (status.ok()) status = CString("job", options.job, &result->job);
  if (status.ok()) status = CString("balance", options.balance, &result->balance);
  if (status.ok()) status = CString("membership", options.membership, &result->membership);
  if (status.ok()) status = CGroup(options.group, result);
  if (status.ok()) status = CCredentials(options, result);
  return status;
}

}  // namespace internal

inline Result<std::unique_ptr<Worker>> Worker::Join(const WorkerOptions& options) {
  if (evenkeel_api_version() < EVENKEEL_API_VERSION) {
    return Status(StatusCode::kFailedPrecondition,
                  "this program needs version " + std::to_string(EVENKEEL_API_VERSION) +
                      " of libevenkeel's API, and the library that was loaded has " +
                      std::to_string(evenkeel_api_version()) + "; install the newer library");
  }
  std::vector<evenkeel_layer_options> layers;
  Status status = internal::CLayers(options.layers, &layers);
  evenkeel_worker_options c_options;
  if (status.ok()) status = internal::COptions(options, layers, &c_options);
  if (!status.ok()) return status;
  auto on_commit = std::make_unique<OnCommit>(options.on_commit);
  if (*on_commit) {
    c_options.on_commit = internal::COnCommit;
    c_options.on_commit_context = on_commit.get();
  }

  evenkeel_worker* joined = nullptr;
  status = Outcome(evenkeel_worker_join(&c_options, &joined));
  if (!status.ok()) return status;
  std::unique_ptr<Worker> worker(new Worker(joined, std::move(on_commit)));
  status = worker->Refreshed(EVENKEEL_OK);
  if (!status.ok()) return status;
  return worker;
}

}  // namespace evenkeel
