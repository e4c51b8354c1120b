/* libevenkeel, the library for training workers: its C ABI. C++ has evenkeel/worker.h, which is made of this.
 *
 * A worker's end of the loop:
 *
 *   evenkeel_worker_join
 *   evenkeel_begin_step(step) -> evenkeel_route, evenkeel_count or evenkeel_add_counts, for every layer and
 *     micro-batch -> evenkeel_commit(step) -> evenkeel_begin_step(step + 1) -> ...
 *   evenkeel_leave, evenkeel_worker_destroy
 *
 * Counting is local; a commit hands the sums to a thread of the library, which delivers them, once, through restarts of
 * the coordinator. Only join, begin_step and leave wait, and each no longer than its bound; and, once, the first commit
 * of a group that reduces on its devices.
 *
 * Structs begin with their size as the caller knows it, which their _init function sets together with every default:
 * a program that was compiled against an older header keeps working, with defaults for what it does not know. A field
 * that the library does not know is refused unless it is zero.
 *
 * Memory stays with who made it. Arrays that are passed in are read, or written, before the call returns. Strings end
 * with a zero byte.
 *
 * On a GPU (evenkeel_worker_options.device) nothing waits for it: calls enqueue their work on the trainer's stream
 * (evenkeel_set_stream) and come back, and arrays are read, or written, when it runs. A commit moves the counts on
 * through a stream of the library's; evenkeel_begin_step enqueues what brings the new bias to its address before
 * anything that comes later on the trainer's stream. Route and count calls may be captured in a CUDA graph, which
 * counts into the step that it is replayed in; capture one for steps of even and one for steps of odd numbers, between
 * evenkeel_begin_capture and evenkeel_end_capture.
 *
 * Threads: one at a time may call with the same worker; workers are independent of each other. What evenkeel_bias
 * points to may be read by any thread, and is written in evenkeel_begin_step and evenkeel_leave only.
 *
 * Errors: every call that can fail answers with a code of gRPC, 0 being success; evenkeel_last_error has the sentence.
 * No C++ exception leaves the library. Where memory cannot be allocated the answer is EVENKEEL_RESOURCE_EXHAUSTED. A
 * null worker, or a null pointer where a struct or an array is needed, is EVENKEEL_INVALID_ARGUMENT.
 */
#ifndef EVENKEEL_EVENKEEL_H_
#define EVENKEEL_EVENKEEL_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define EVENKEEL_EXPORT __attribute__((visibility("default")))
#else
#define EVENKEEL_EXPORT
#endif

/* Of this header. Grows by one when something is added; nothing is ever changed or taken away. */
#define EVENKEEL_API_VERSION 1

/* Of the library that is loaded: at least that of the header which a program was compiled against, or functions are
 * missing. */
EVENKEEL_EXPORT uint32_t evenkeel_api_version(void);

/* The library's own version, "0.1.0": for logs. */
EVENKEEL_EXPORT const char* evenkeel_library_version(void);

/* The codes of gRPC, with its numbers. */
typedef int32_t evenkeel_status;
enum {
  EVENKEEL_OK = 0,
  EVENKEEL_CANCELLED = 1,
  EVENKEEL_UNKNOWN = 2,
  EVENKEEL_INVALID_ARGUMENT = 3,
  EVENKEEL_DEADLINE_EXCEEDED = 4,
  EVENKEEL_NOT_FOUND = 5,
  EVENKEEL_ALREADY_EXISTS = 6,
  EVENKEEL_PERMISSION_DENIED = 7,
  EVENKEEL_RESOURCE_EXHAUSTED = 8,
  EVENKEEL_FAILED_PRECONDITION = 9,
  EVENKEEL_ABORTED = 10,
  EVENKEEL_OUT_OF_RANGE = 11,
  EVENKEEL_UNIMPLEMENTED = 12,
  EVENKEEL_INTERNAL = 13,
  EVENKEEL_UNAVAILABLE = 14,
  EVENKEEL_DATA_LOSS = 15,
  EVENKEEL_UNAUTHENTICATED = 16
};

/* What went wrong in the calling thread's last call that answered with an evenkeel_status, and what to do next: one
 * sentence, "" after a success. Valid until the thread's next such call. Of a very long sentence the end is left out.
 */
EVENKEEL_EXPORT const char* evenkeel_last_error(void);

/* One router of the model. */
typedef struct evenkeel_layer_options {
  size_t struct_size;
  /* Module path: the layer's identity, unique in the job and the same on all workers. */
  const char* name;
  int32_t num_experts;
  int32_t top_k;
  /* How evenkeel_route routes this layer: a RouteSpec as JSON or YAML, for example {"score": "SIGMOID"}; num_experts
   * and top_k are filled in. Null or "" when the trainer routes by itself and only counts. */
  const char* route;
  /* 0: another stage of a pipeline has this layer. Every worker lists all layers of the model. Default 1. */
  int32_t owned;
  /* float32 [streams, num_experts], finite: the bias that a new job begins with at this layer, as the model brings it,
   * the same on all workers. Null: 0. Once a step has been committed, a worker that joins may leave it out. */
  const float* initial_bias;
  /* What differs from evenkeel_worker_options.balance at this layer: a BalanceConfig as JSON or YAML, of which the
   * fields that are there replace the job's, for example {"frozen": true}, or a target for layers with identity or skip
   * experts. Null or "": nothing. */
  const char* balance;
  /* Kinds of tokens (text and image, say) that have a bias and counts of their own, 1 (default) to 16. */
  int32_t streams;
  /* 1: the trainer also tells what a capacity limit left of the assignments: evenkeel_count_dispatched,
   * evenkeel_add_dispatched. Default 0. */
  int32_t counts_dispatched;
} evenkeel_layer_options;
EVENKEEL_EXPORT void evenkeel_layer_options_init(evenkeel_layer_options* options, size_t struct_size);

/* What evenkeel_begin_step does when the version that it needs has not come after loss_patience_ms: its coordinator is
 * away, or another rank holds the step up. Whatever is done, the counts of every step are kept, and delivered in order,
 * each once, when the coordinator answers again; steps that were routed with one bias then move it once, by their sum.
 */
enum {
  EVENKEEL_ON_LOSS_HOLD = 0,  /* routes on with the bias that there is */
  EVENKEEL_ON_LOSS_WAIT = 1,  /* waits, up to begin_step_timeout_ms */
  EVENKEEL_ON_LOSS_LOCAL = 2, /* moves the bias on by itself, with what this rank, or its group, counts */
  EVENKEEL_ON_LOSS_FAIL = 3   /* is an error, for good */
};

/* What a job does with its counts. */
enum {
  EVENKEEL_MODE_BALANCE = 0, /* moves the bias */
  EVENKEEL_MODE_FROZEN = 1,  /* counts, and sends the bias, which never moves */
  EVENKEEL_MODE_OBSERVE = 2  /* counts, for people to look at: there is no bias, evenkeel_bias is 0. For models that
                                balance by themselves */
};

/* What becomes of the counts of a step that some worker did not take. */
enum {
  EVENKEEL_ON_SKIP_DROP = 0, /* they are dropped, and no bias moves */
  EVENKEEL_ON_SKIP_APPLY = 1 /* they move the bias all the same */
};

/* What becomes of a step when workers do not come to it: they are not heard of any more, do not get on, or have left.
 */
enum {
  EVENKEEL_ON_MISSING_WAIT = 0,          /* it waits for them */
  EVENKEEL_ON_MISSING_FAIL = 1,          /* the job fails: evenkeel_begin_step is an error (ABORTED) on all workers, and
                                            all have to be started again */
  EVENKEEL_ON_MISSING_COMMIT_WITHOUT = 2 /* it is committed without their counts, with all that the others know;
                                            evenkeel_report.contributors says how many took part. Workers may leave,
                                            and come, between steps */
};

/* What becomes of a job whose numbers cannot be right: ranks that count the same tokens, a bias that is another on some
 * rank, a layer that never counts, ...; doc/client.md has all of them. */
enum {
  EVENKEEL_ON_VIOLATION_REPORT = 0, /* it is told: evenkeel_report, the coordinator's metrics and log */
  EVENKEEL_ON_VIOLATION_HALT = 1    /* moreover no bias moves from that step on, until an operator lets it
                                       (evenkeel set --resume) */
};

/* What join does where next_step is not the step that the job is at: training goes on from an older checkpoint. */
enum {
  EVENKEEL_RESUME_REFUSE = 0,  /* is an error that names both steps */
  EVENKEEL_RESUME_REWIND = 1,  /* the job goes back to next_step, once all workers ask for it: to what the coordinator
                                  remembers of the last 64 steps, or to `state`. The trajectory from there on is that of
                                  a  run without interruption */
  EVENKEEL_RESUME_CATCH_UP = 2 /* the job stays where it is; steps that it has committed before are routed with the bias
                                  that it has now, and not counted again */
};

/* How a worker gets on, after a commit. The coordinator is told the same with the worker's heartbeats. */
typedef struct evenkeel_figures {
  size_t struct_size;
  /* The step that was committed. */
  uint64_t step;
  /* Of the bias that routed it, and when it began: as in evenkeel_report. */
  uint64_t staleness;
  uint64_t undelivered_steps;
  uint64_t lost_steps;
  /* Nanoseconds that evenkeel_commit kept the caller's thread. */
  int64_t commit_host_ns;
  /* EVENKEEL_COUNTING_TRAIN or _REPLAY. */
  int32_t counting;
} evenkeel_figures;

typedef struct evenkeel_worker_options {
  size_t struct_size;
  /* host:port of evenkeeld. Default "127.0.0.1:7411". Null or "": there is none, and every rank moves its bias by
   * itself, or with its group, by the same rule; nothing is remembered then when the training ends. */
  const char* coordinator;
  /* Name of the training run, the same on all workers. Needed. */
  const char* job;
  /* This worker's place among all `world_size` workers of the run. Defaults 0 and 1. */
  int32_t rank;
  int32_t world_size;
  /* [num_layers], all of the same struct_size. Needed. */
  const evenkeel_layer_options* layers;
  size_t num_layers;
  /* A BalanceConfig as JSON or YAML, for example {"preset": "loss_free", "rate": 0.001}, the same on all workers. Null
   * or
   * "": the coordinator's default. */
  const char* balance;
  /* The optimizer step that evenkeel_begin_step will be called for first. Default 1. */
  uint64_t next_step;
  /* Bounds, in milliseconds, of the only calls that wait: join; begin_step and leave. Each covers reconnecting to a
   * coordinator that restarts. Default 60,000. */
  int64_t join_timeout_ms;
  int64_t begin_step_timeout_ms;
  /* Which ranks reduce their counts among themselves, before the sums go to the coordinator or move the bias: null or
   * "" (every rank by itself, the default), "world" (all ranks), "ep" (expert_parallel_size neighbours), or any other
   * name for a group that is declared here: its ranks, ascending, [num_group_ranks], and which of how many such groups
   * it is. */
  const char* group;
  int32_t expert_parallel_size;
  int32_t group_index;
  int32_t group_count;
  /* 1: without a coordinator, groups that are smaller than the world may go different ways. Default 0: that is refused.
   */
  int32_t allow_divergence;
  const int32_t* group_ranks;
  size_t num_group_ranks;
  /* Where the ranks of a group find each other: "file:///shared/folder", or "tcp://host:port" of the group's first
   * rank. Null or "": at the coordinator. */
  const char* group_store;
  /* Where the others reach this rank: the name of a network interface ("eth0"), or a host name or address of this
   * machine. Null or "": the address that this machine uses toward the host of the store, or, where that is a folder,
   * the address of its host name (which some systems map to loopback). */
  const char* group_interface;
  /* How long, in milliseconds, a rank waits for the others of its group; then it fails. Default 600,000. */
  int64_t group_timeout_ms;
  /* Steps between a commit and the first step that is routed with it, less one: 0 (default), or 1, which gives the
   * commit of a step the whole next step to come back in. The same on all workers. */
  int32_t lag;
  /* EVENKEEL_ON_LOSS_...; default HOLD. */
  int32_t on_loss;
  /* From the commit of a step, in milliseconds. Once a version has not come in time, later steps do not wait, or a
   * hundredth of that while the coordinator takes what was kept, until all of that is delivered or the version that is
   * due is there. Default 10,000. */
  int64_t loss_patience_ms;
  /* Steps that are kept, at least 4, each with 8 bytes an expert. When more wait, the counts of the oldest are lost,
   * and that is told everywhere (evenkeel_report, the coordinator's metrics); or, with loss_fail_when_full = 1,
   * evenkeel_begin_step fails. Defaults 1,000 and 0. */
  int32_t loss_log_steps;
  int32_t loss_fail_when_full;
  /* CUDA's number of the GPU that this worker counts and routes on: every address that is passed in, and evenkeel_bias,
   * is then of that GPU's memory. Default -1: there is none, and all is in the memory of the host. */
  int32_t device;
  /* How the ranks of the group reduce: "gloo", in the host's memory; "nccl", on the device. Null or "": as the worker
   * counts. */
  const char* group_reducer;
  /* An ncclComm_t whose ranks are those of the group, in their order, for "nccl": it stays the caller's, who keeps it
   * longer than the worker, and does not use it while the worker does. Null: the group makes one of its own. */
  void* nccl_comm;
  /* EVENKEEL_RESUME_...; default REFUSE. */
  int32_t resume;
  /* EVENKEEL_MODE_..., ON_SKIP_..., ON_VIOLATION_...: the same on all workers. Defaults BALANCE, DROP, REPORT. */
  int32_t mode;
  int32_t on_skip;
  int32_t on_violation;
  /* What evenkeel_save_state gave after step next_step - 1, for REWIND; without a coordinator, what a run that does not
   * begin at step 1 goes on from. The same on all workers that bring one. Null: none. */
  const void* state;
  size_t state_size;
  /* The tokens of the global batch: no layer has more valid ones in a step, or some are counted twice. 0 (default): not
   * checked. The same on all workers. */
  uint64_t tokens_per_step;
  /* How the connection to the coordinator is encrypted: paths of PEM files, which are read again when they have changed
   * and a new connection is needed. The CAs that may have signed the coordinator's certificate (null or "": the
   * connection is not encrypted); this worker's own certificate and key, where the coordinator asks for them; and the
   * name that the coordinator's certificate must have (null or "": the host in `coordinator`). */
  const char* tls_ca;
  const char* tls_certificate;
  const char* tls_private_key;
  const char* tls_server_name;
  /* Says to the coordinator who calls, where it asks: the token itself, or the path of a file that holds it, which is
   * read for every call. It goes only over encrypted connections, and those that stay on this machine. Null or "":
   * none.
   */
  const char* token;
  const char* token_file;
  /* EVENKEEL_ON_MISSING_...: the same on all workers. Default WAIT. */
  int32_t on_missing;
  /* How long the coordinator waits for whom: a Membership of evenkeel/v1/job.proto in JSON, {"heartbeat_timeout_ms":
   * 60000, "step_deadline_ms": 600000, ...}. Null or "": its defaults. The same on all workers. */
  const char* membership;
  /* Called at the end of every evenkeel_commit of a step that counts, on the caller's thread, with on_commit_context:
   * for a trainer's own log. `figures` is valid until it returns. It must not call the worker. Null (default): nobody
   * is told. */
  void (*on_commit)(const evenkeel_figures* figures, void* context);
  void* on_commit_context;
} evenkeel_worker_options;
EVENKEEL_EXPORT void evenkeel_worker_options_init(evenkeel_worker_options* options, size_t struct_size);

/* What arrays hold. */
enum { EVENKEEL_FLOAT32 = 0, EVENKEEL_BFLOAT16 = 1, EVENKEEL_FLOAT16 = 2 };
enum { EVENKEEL_INT32 = 0, EVENKEEL_INT64 = 1 };

/* The tokens of one micro-batch at one layer. */
typedef struct evenkeel_tokens {
  size_t struct_size;
  int64_t rows;
  /* [rows, num_experts], `logits_stride` elements from row to row (0: num_experts). */
  const void* logits;
  int64_t logits_stride;
  /* bool [rows]; a token whose entry is 0 is neither routed nor counted. Null: all are valid. */
  const uint8_t* valid_mask;
  /* EVENKEEL_FLOAT32 (default), _BFLOAT16 or _FLOAT16. */
  int32_t logits_type;
  /* Which of the layer's streams the valid tokens are of. Default 0. */
  int32_t stream;
  /* The number of the micro-batch in its step, 0 to 65,535: what is routed or counted again of the same (step,
   * micro-batch, layer, stream), as activation recomputation does, is not counted again, be it other rows. Default -1:
   * every call counts. */
  int64_t micro_batch;
  /* int32 [rows, top_k], with EVENKEEL_COUNTING_REPLAY only, and needed then: the experts of each token,
   * `replay_stride` elements from row to row (0: top_k), -1 where there is none. Weights and counts are made of them.
   */
  const int32_t* replay_ids;
  int64_t replay_stride;
} evenkeel_tokens;
EVENKEEL_EXPORT void evenkeel_tokens_init(evenkeel_tokens* tokens, size_t struct_size);

/* Where evenkeel_route writes; null for what is not wanted. */
typedef struct evenkeel_assignments {
  size_t struct_size;
  /* [rows, top_k], by descending biased score; -1 where there is no expert. */
  void* ids;
  /* [rows, top_k], from unbiased scores; 0 where there is no expert. */
  void* weights;
  /* EVENKEEL_INT32 (default) or _INT64; EVENKEEL_FLOAT32 (default) or the logits' type. */
  int32_t ids_type;
  int32_t weights_type;
  /* 1: rows that valid_mask leaves out stay what they are, so that one call for each stream fills the same arrays.
   * Default 0: they are -1 and 0. */
  int32_t keep_masked;
} evenkeel_assignments;
EVENKEEL_EXPORT void evenkeel_assignments_init(evenkeel_assignments* assignments, size_t struct_size);

/* What evenkeel_route_backward reads and writes. */
typedef struct evenkeel_gradients {
  size_t struct_size;
  /* [rows, top_k], as evenkeel_route wrote them; EVENKEEL_INT32 (default) or _INT64. */
  const void* ids;
  int32_t ids_type;
  /* Of d_weights and of d_logits: EVENKEEL_FLOAT32 (default) or the logits' type. */
  int32_t d_weights_type;
  int32_t d_logits_type;
  /* [rows, top_k], of the loss by the weights. */
  const void* d_weights;
  /* [rows, num_experts], of the loss by the logits: written wholly. */
  void* d_logits;
} evenkeel_gradients;
EVENKEEL_EXPORT void evenkeel_gradients_init(evenkeel_gradients* gradients, size_t struct_size);

/* What a router of the trainer's own chose. */
typedef struct evenkeel_ids {
  size_t struct_size;
  int64_t rows;
  /* [rows, top_k], `ids_stride` elements from row to row (0: top_k); -1 where there is no expert. */
  const void* ids;
  int64_t ids_stride;
  /* bool [rows]; a row whose entry is 0 is skipped. Null: none is. */
  const uint8_t* valid_mask;
  /* EVENKEEL_INT32 (default) or _INT64. */
  int32_t ids_type;
  /* As of evenkeel_tokens. */
  int32_t stream;
  int64_t micro_batch;
} evenkeel_ids;
EVENKEEL_EXPORT void evenkeel_ids_init(evenkeel_ids* ids, size_t struct_size);

/* What the trainer has counted by itself. */
typedef struct evenkeel_counts {
  size_t struct_size;
  /* uint64 [num_experts], which sum to top_k * valid_tokens - short_slots. */
  const uint64_t* counts;
  uint64_t valid_tokens;
  uint64_t short_slots;
  /* As of evenkeel_tokens. */
  int32_t stream;
  int64_t micro_batch;
} evenkeel_counts;
EVENKEEL_EXPORT void evenkeel_counts_init(evenkeel_counts* counts, size_t struct_size);

/* The newest version that a worker routes with, and what the coordinator said of the step that made it. */
typedef struct evenkeel_report {
  size_t struct_size;
  uint64_t epoch;
  uint64_t step;
  /* 0 when a worker reported the step as not taken, else 1. */
  int32_t ok;
  /* XXH3-64 over the bias of all layers: equal on all workers. */
  uint64_t bias_hash;
  /* Valid tokens of the step over all workers. */
  uint64_t tokens;
  /* [num_layers], (largest count - mean) / mean of each layer, in the order of evenkeel_worker_options.layers. The
   * worker's; changes with the bias. */
  const float* max_violation;
  size_t num_layers;
  /* Steps by which the current bias is older than the one that is due. */
  uint64_t staleness;
  /* Steps that this worker has committed and the coordinator not yet; and those of them whose counts were lost. 0 on
   * ranks of a group that do not push for it. */
  uint64_t undelivered_steps;
  uint64_t lost_steps;
  /* Things about the step that cannot be right, each a line in the coordinator's log; and 1 where the job has been
   * halted for such, else 0. */
  int32_t violations;
  int32_t halted;
  /* Workers that commit by themselves, and groups, whose counts are in the step. */
  int32_t contributors;
} evenkeel_report;
EVENKEEL_EXPORT void evenkeel_report_init(evenkeel_report* report, size_t struct_size);

/* A training worker. */
typedef struct evenkeel_worker evenkeel_worker;

/* Registers with the coordinator, fetches the bias and writes a new worker, to be ended by evenkeel_worker_destroy;
 * null after an error.
 *   INVALID_ARGUMENT     an option is wrong, or differs from what the other workers say; the message names it. Or
 *                        replicas would diverge, and that was not asked for
 *   FAILED_PRECONDITION  the job is at another step than next_step; the message names it. Or there is no coordinator,
 *                        and next_step is not 1
 *   ALREADY_EXISTS       a newer process holds this rank's place
 *   DEADLINE_EXCEEDED    no coordinator answered within join_timeout_ms, or a rank of the group did not come */
EVENKEEL_EXPORT evenkeel_status evenkeel_worker_join(const evenkeel_worker_options* options, evenkeel_worker** worker);

/* Breaks off what is on its way, at once (on a device within two seconds), and frees the worker; only while the ranks
 * of a group still connect, after the first commit, does it wait for them, or for group_timeout_ms. Without
 * evenkeel_leave before it, the slot stays this process's until a new one replaces it. Null is no error. */
EVENKEEL_EXPORT void evenkeel_worker_destroy(evenkeel_worker* worker);

/* Makes the bias valid from `step` the current one, waiting for the commit that makes it; or does without, as on_loss
 * says.
 *   DEADLINE_EXCEEDED    it did not come within begin_step_timeout_ms; the call may be repeated
 *   FAILED_PRECONDITION  `step` is not the one after the last commit
 *   anything else        the coordinator refused a commit, a rank of the group is lost, or on_loss makes it an error;
 *                        the message says why, and it is final */
EVENKEEL_EXPORT evenkeel_status evenkeel_begin_step(evenkeel_worker* worker, uint64_t step);

/* Routes tokens of `layer` (an index of evenkeel_worker_options.layers) with the current bias and counts the
 * assignments. NaN and infinite logits are data.
 *   FAILED_PRECONDITION  outside of begin_step and commit, unless EVALUATE; or the layer has no route
 *   INVALID_ARGUMENT     no such layer, negative rows, missing logits, a stride below num_experts, or replay_ids that
 *                        are missing with REPLAY or given without
 * Nothing is written or counted then. */
EVENKEEL_EXPORT evenkeel_status evenkeel_route(evenkeel_worker* worker, int32_t layer, const evenkeel_tokens* tokens,
                                               const evenkeel_assignments* assignments);

/* The backward pass of evenkeel_route: the gradient of a loss by the logits, from its gradient by the weights. The bias
 * has no part in it. `tokens` as they were routed; its valid_mask and stream are not read: rows without ids have no
 * gradient, and one call is of the rows of all streams. May be called at any time. INVALID_ARGUMENT,
 * FAILED_PRECONDITION as of evenkeel_route; nothing is written then. */
EVENKEEL_EXPORT evenkeel_status evenkeel_route_backward(evenkeel_worker* worker, int32_t layer,
                                                        const evenkeel_tokens* tokens,
                                                        const evenkeel_gradients* gradients);

/* Counts the assignments of a router of the trainer's own.
 *   FAILED_PRECONDITION  outside of begin_step and commit
 *   INVALID_ARGUMENT     an id is outside -1 .. num_experts - 1, or a row holds it twice; the message names row and id
 * Nothing is counted then. On a device such a row is found later: it is not counted, and a later evenkeel_begin_step
 * fails for good. */
EVENKEEL_EXPORT evenkeel_status evenkeel_count(evenkeel_worker* worker, int32_t layer, const evenkeel_ids* ids);

/* Counts what the trainer has counted. INVALID_ARGUMENT where the sums do not add up, and nothing is counted then; on a
 * device as for evenkeel_count. */
EVENKEEL_EXPORT evenkeel_status evenkeel_add_counts(evenkeel_worker* worker, int32_t layer,
                                                    const evenkeel_counts* counts);

/* What a capacity limit left of the assignments of a layer with counts_dispatched: ids of which those that were dropped
 * are -1, or sums, of which valid_tokens and short_slots are not read. Never more for an expert than was routed to it,
 * or the step is refused. Errors as of evenkeel_count; FAILED_PRECONDITION where the layer does not count them. */
EVENKEEL_EXPORT evenkeel_status evenkeel_count_dispatched(evenkeel_worker* worker, int32_t layer,
                                                          const evenkeel_ids* ids);
EVENKEEL_EXPORT evenkeel_status evenkeel_add_dispatched(evenkeel_worker* worker, int32_t layer,
                                                        const evenkeel_counts* counts);

/* What becomes of what is routed and counted from now on. */
enum {
  /* It is counted, and moves the bias. The default. */
  EVENKEEL_COUNTING_TRAIN = 0,
  /* It is routed with the current bias and not counted; also between steps. */
  EVENKEEL_COUNTING_EVALUATE = 1,
  /* A step that is gone through as any other, from begin_step to commit, and of which nothing remains: to warm up
   * memory, kernels and graphs. Its number is used again. All workers alike. */
  EVENKEEL_COUNTING_DRY_RUN = 2,
  /* The ids come from elsewhere (a rollout): evenkeel_tokens.replay_ids, or evenkeel_count. The step is counted, for
   * people to look at, and moves no bias; one worker's replay keeps it from moving for all. */
  EVENKEEL_COUNTING_REPLAY = 3
};
/* FAILED_PRECONDITION in a step, unless it goes to EVALUATE or back from there; INVALID_ARGUMENT for an unknown mode.
 * While it is EVALUATE, evenkeel_begin_step and evenkeel_commit are FAILED_PRECONDITION: nobody trains on without
 * counting. */
EVENKEEL_EXPORT evenkeel_status evenkeel_set_counting(evenkeel_worker* worker, int32_t counting);

/* Around the capture of CUDA graphs: what is counted between the two is taken back at the end, whatever ran there, and
 * a micro_batch that was captured is not taken for one that was counted. Passes that warm up for a capture belong
 * inside. In a step, not nested, and not while the stream itself captures; FAILED_PRECONDITION otherwise. */
EVENKEEL_EXPORT evenkeel_status evenkeel_begin_capture(evenkeel_worker* worker);
EVENKEEL_EXPORT evenkeel_status evenkeel_end_capture(evenkeel_worker* worker);

/* Ends the step: the counts of all layers go to the coordinator in the background. With ok = 0 the optimizer step was
 * not taken on this worker: the step moves no bias on any. FAILED_PRECONDITION when `step` is not the one that
 * evenkeel_begin_step began. Where a group reduces on its devices, the first commit waits until its ranks are
 * connected, no longer than group_timeout_ms; and an error there, or of a rank that was lost since, is final. */
EVENKEEL_EXPORT evenkeel_status evenkeel_commit(evenkeel_worker* worker, uint64_t step, int32_t ok);

/* What is enqueued on the device from now on, is on `stream`, a cudaStream_t; by default it is the legacy default
 * stream. One stream at a time routes and counts: another waits for it, as the trainer's own work does.
 * FAILED_PRECONDITION where there is no device. */
EVENKEEL_EXPORT evenkeel_status evenkeel_set_stream(evenkeel_worker* worker, void* stream);

/* The current bias of `layer`: float32 [num_experts], at an address that stays the same as long as the worker. Null for
 * an index that is no layer's, and for a null worker. */
EVENKEEL_EXPORT const float* evenkeel_bias(const evenkeel_worker* worker, int32_t layer);
/* Likewise of one of the layer's streams; evenkeel_bias has that of stream 0. */
EVENKEEL_EXPORT const float* evenkeel_stream_bias(const evenkeel_worker* worker, int32_t layer, int32_t stream);

/* The whole state of the job after the last step that was committed, for the trainer's checkpoint of that step: writes
 * where it lies, and how many bytes it has, which stays so until the worker's next save. Between steps, or after leave
 * (FAILED_PRECONDITION otherwise). Waits, for begin_step_timeout_ms, until the step is committed (DEADLINE_EXCEEDED; it
 * may be called again). Any rank may save, for all. Errors else as of begin_step, but none is final. */
EVENKEEL_EXPORT evenkeel_status evenkeel_save_state(evenkeel_worker* worker, const void** state, size_t* size);

/* What the worker is part of, and by what rule its bias moves, in one line without its end: for the log of a training
 * run. The worker's; "" for a null worker. */
EVENKEEL_EXPORT const char* evenkeel_summary(const evenkeel_worker* worker);

/* Writes what is known of the current bias. Fails for null pointers and an unset struct_size only. */
EVENKEEL_EXPORT evenkeel_status evenkeel_read_report(const evenkeel_worker* worker, evenkeel_report* report);

/* Waits, for begin_step_timeout_ms, until all steps are committed, makes the version of the last one current, and gives
 * the slot back; all ranks of a group leave together. What was counted since evenkeel_begin_step without a commit is
 * dropped. Errors as of evenkeel_begin_step; after success, further calls succeed too. */
EVENKEEL_EXPORT evenkeel_status evenkeel_leave(evenkeel_worker* worker);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* EVENKEEL_EVENKEEL_H_ */
