#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// What a Worker is told and tells: plain data.
namespace evenkeel {

// One router of the model.
struct LayerOptions {
  // Module path: the layer's identity, unique in the job and the same on all workers.
  std::string name;
  int num_experts = 0;
  int top_k = 0;
  // How Route() routes this layer: a RouteSpec as JSON or YAML, for example R"({"score": "SIGMOID"})"; num_experts and
  // top_k are filled in. Empty when the trainer routes by itself and only counts.
  std::string route;
  // False: another stage of a pipeline has this layer. Every worker lists all layers of the model, and every layer is
  // owned by the same ranks on every worker that counts it.
  bool owned = true;
  // float32 [streams, num_experts], finite: the bias that a new job begins with at this layer, as the model brings it,
  // the same on all workers. Empty: 0. Once a step has been committed, a worker that joins may leave it out.
  std::vector<float> initial_bias = {};
  // What differs from WorkerOptions::balance at this layer: a BalanceConfig as JSON or YAML, of which the fields that
  // are there replace the job's, for example R"({"frozen": true})", or a target for layers with identity or skip
  // experts.
  std::string balance = {};
  // Kinds of tokens (text and image, say) that have a bias and counts of their own, 1 to 16.
  int streams = 1;
  // Whether the trainer also tells what a capacity limit left of the assignments: CountDispatched, AddDispatched.
  bool counts_dispatched = false;
};

// Which ranks reduce their counts among themselves, before the sums go to the coordinator or move the bias.
struct GroupOptions {
  // "" (every rank by itself), "world" (all ranks), "ep" (expert_parallel_size neighbours), or any other name for a
  // group that is declared below.
  std::string name;
  int expert_parallel_size = 0;
  // A declared group (the data, tensor or context parallel ranks of this one, say): its ranks, ascending, and which of
  // how many such groups it is.
  std::vector<int> ranks;
  int index = 0;
  int count = 1;
  // Where its ranks find each other: "file:///shared/folder", or "tcp://host:port" of the group's first rank. Empty: at
  // the coordinator.
  std::string store;
  // Where the others reach this rank: the name of a network interface ("eth0"), or a host name or address of this
  // machine. Empty: the address that this machine uses toward the host of the store, or, where that is a folder, the
  // address of its host name (which some systems map to loopback).
  std::string interface;
  // How long a rank waits for the others of its group; then it fails.
  std::chrono::milliseconds timeout{600'000};
  // How the ranks reduce: "gloo", in the host's memory; "nccl", on the device. Empty: as the worker counts.
  std::string reducer;
  // An ncclComm_t whose ranks are those of the group, in their order, for "nccl": it stays the caller's, who keeps it
  // longer than the worker, and does not use it while the worker does. Null: the group makes one of its own.
  void* nccl_comm = nullptr;
  // Without a coordinator, groups that are smaller than the world go different ways. That is refused, unless this is
  // set.
  bool allow_divergence = false;
};

// What BeginStep does when the version that it needs has not come after `patience`: its coordinator is away, or another
// rank holds the step up.
enum class OnLoss {
  kHold,   // routes on with the bias that there is
  kWait,   // waits, up to begin_step_timeout
  kLocal,  // moves the bias on by itself, with what this rank, or its group, counts, until the coordinator is back
  kFail,   // is an error, for good
};

// Whatever is done, the counts of every step are kept, and delivered in order, each once, when the coordinator answers
// again. Steps that were routed with one bias then move it once, by their sum.
struct LossOptions {
  OnLoss on_loss = OnLoss::kHold;
  // From the commit of a step. Once a version has not come in time, later steps do not wait, or a hundredth of that
  // while the coordinator takes what was kept, until all of that is delivered or the version that is due is there.
  std::chrono::milliseconds patience{10'000};
  // Steps that are kept, at least 4, each with 8 bytes an expert. When more wait, the counts of the oldest are lost,
  // and that is told everywhere (StepReport, the coordinator's metrics); or, with fail_when_full, BeginStep fails.
  int log_steps = 1'000;
  bool fail_when_full = false;
};

// What a job does with its counts. The same on all workers.
enum class JobMode {
  kBalance,  // moves the bias
  kFrozen,   // counts, and sends the bias, which never moves
  kObserve,  // counts, for people to look at: there is no bias, bias() is 0. For models that balance by themselves
};

// What becomes of the counts of a step that some worker did not take (Commit with ok = false). The same on all workers.
enum class OnSkip {
  kDrop,   // they are dropped, and no bias moves
  kApply,  // they move the bias all the same
};

// What becomes of a job whose numbers cannot be right: ranks that count the same tokens, a bias that is another on some
// rank, a layer that never counts, ...; doc/client.md has all of them. The same on all workers.
enum class OnViolation {
  kReport,  // it is told: StepReport, the coordinator's metrics and log
  kHalt,    // moreover no bias moves from that step on, until an operator lets it (evenkeel set --resume)
};

// What becomes of a step when workers do not come to it: they are not heard of any more, do not get on, or have left.
// The same on all workers.
enum class OnMissing {
  kWait,           // it waits for them
  kFail,           // the job fails: BeginStep is an error (ABORTED) on all workers, and all have to be started again
  kCommitWithout,  // it is committed without their counts, with all that the others know; StepReport::contributors says
                   // how many took part. Workers may leave, and come, between steps
};

// What Join does where next_step is not the step that the job is at: training goes on from an older checkpoint.
enum class Resume {
  kRefuse,   // is an error that names both steps
  kRewind,   // the job goes back to next_step, once all workers ask for it: to what the coordinator remembers of the
             // last 64 steps, or to WorkerOptions::state. The trajectory from there on is that of a run without
             // interruption
  kCatchUp,  // the job stays where it is; steps that it has committed before are routed with the bias that it has now,
             // and not counted again
};

// How the connection to the coordinator is encrypted: paths of PEM files, which are read again when they have changed
// and a new connection is needed.
struct TlsOptions {
  // Certificates of the CAs that may have signed the coordinator's. Empty: the connection is not encrypted.
  std::string ca;
  // This worker's own certificate and key, where the coordinator asks for them.
  std::string certificate;
  std::string private_key;
  // The name that the coordinator's certificate must have. Empty: the host in `coordinator`.
  std::string server_name;
};

// What becomes of what is routed and counted.
enum class Counting {
  // It is counted, and moves the bias.
  kTrain,
  // It is routed with the current bias and not counted; also between steps.
  kEvaluate,
  // A step that is gone through as any other, from BeginStep to Commit, and of which nothing remains: to warm up
  // memory, kernels and graphs. Its number is used again. All workers alike.
  kDryRun,
  // The ids come from elsewhere (a rollout): Tokens::replay_ids, or Count. The step is counted, for people to look at,
  // and moves no bias; one worker's replay keeps it from moving for all.
  kReplay,
};

// How a worker gets on, after a commit. The coordinator is told the same with the worker's heartbeats (`evenkeel
// status` and metrics show it there).
struct WorkerFigures {
  // The step that was committed.
  uint64_t step = 0;
  // Of the bias that routed it, and when it began: as in StepReport.
  uint64_t staleness = 0;
  uint64_t undelivered_steps = 0;
  uint64_t lost_steps = 0;
  // How long Commit kept the caller's thread.
  std::chrono::nanoseconds commit_host_time{0};
  // kTrain or kReplay.
  Counting counting = Counting::kTrain;
};

struct WorkerOptions {
  // host:port of evenkeeld. Empty: there is none, and every rank moves its bias by itself, or with its group, by the
  // same rule; nothing is remembered then when the training ends.
  std::string coordinator = "127.0.0.1:7411";
  // Name of the training run, the same on all workers.
  std::string job;
  // This worker's place among all `world_size` workers of the run.
  int rank = 0;
  int world_size = 1;
  GroupOptions group;
  std::vector<LayerOptions> layers;
  // A BalanceConfig as JSON or YAML, for example R"({"preset": "loss_free", "rate": 0.001})", the same on all workers.
  // Empty: the coordinator's default; without a coordinator, the preset evenkeel.
  std::string balance;
  // Steps between a commit and the first step that is routed with it, less one: 0, or 1, which gives the commit of a
  // step the whole next step to come back in. The same on all workers.
  int lag = 0;
  LossOptions loss;
  // CUDA's number of the GPU that this worker counts and routes on: every address that is passed in, and bias(), is
  // then of that GPU's memory. -1: there is none, and all is in the memory of the host.
  int device = -1;
  // The optimizer step that BeginStep will be called for first.
  uint64_t next_step = 1;
  Resume resume = Resume::kRefuse;
  // What SaveState() gave after step next_step - 1, for kRewind; without a coordinator, what a run that does not begin
  // at step 1 goes on from. The same on all workers that bring one.
  std::string state = {};
  JobMode mode = JobMode::kBalance;
  OnSkip on_skip = OnSkip::kDrop;
  OnViolation on_violation = OnViolation::kReport;
  OnMissing on_missing = OnMissing::kWait;
  // How long the coordinator waits for whom: a Membership of evenkeel/v1/job.proto in JSON,
  // {"heartbeat_timeout_ms": 60000, "step_deadline_ms": 600000, ...}. Empty: its defaults. The same on all workers.
  std::string membership = {};
  // The tokens of the global batch: no layer has more valid ones in a step, or some are counted twice. 0: not checked.
  // The same on all workers.
  uint64_t tokens_per_step = 0;
  // Bounds of the only calls that wait: Join, and BeginStep and Leave. Each covers reconnecting to a coordinator that
  // restarts.
  std::chrono::milliseconds join_timeout{60'000};
  std::chrono::milliseconds begin_step_timeout{60'000};
  TlsOptions tls = {};
  // Says to the coordinator who calls, where it asks: the token itself, or the path of a file that holds it, which is
  // read for every call. It goes only over encrypted connections, and those that stay on this machine.
  std::string token = {};
  std::string token_file = {};
  // Called at the end of every Commit of a step that counts, on the caller's thread: for a trainer's own log. Must not
  // throw, nor call the worker. Empty: nobody is told.
  std::function<void(const WorkerFigures&)> on_commit = {};
};

// What arrays hold.
enum class FloatType { kFloat32, kBFloat16, kFloat16 };
enum class IntType { kInt32, kInt64 };

// The tokens of one micro-batch at one layer; all arrays stay the caller's.
struct Tokens {
  int64_t rows = 0;
  // [rows, num_experts], `logits_stride` elements from row to row (0: num_experts).
  const void* logits = nullptr;
  int64_t logits_stride = 0;
  // bool [rows]; a token whose entry is 0 is neither routed nor counted. Null: all are valid.
  const uint8_t* valid_mask = nullptr;
  FloatType logits_type = FloatType::kFloat32;
  // Which of LayerOptions::streams the valid tokens are of.
  int stream = 0;
  // The number of the micro-batch in its step, 0 to 65,535: what is routed or counted again of the same (step,
  // micro-batch, layer, stream), as activation recomputation does, is not counted again, be it other rows. -1: every
  // call counts.
  int64_t micro_batch = -1;
  // int32 [rows, top_k], with Counting::kReplay only, and needed then: the experts of each token, `replay_stride`
  // elements from row to row (0: top_k), -1 where there is none. Weights and counts are made of them.
  const int32_t* replay_ids = nullptr;
  int64_t replay_stride = 0;
};

// Where Route() writes; null for what is not wanted.
struct Assignments {
  // [rows, top_k], by descending biased score; -1 where there is no expert.
  void* ids = nullptr;
  // [rows, top_k], from unbiased scores; 0 where there is no expert.
  void* weights = nullptr;
  IntType ids_type = IntType::kInt32;
  // kFloat32, or the logits' type.
  FloatType weights_type = FloatType::kFloat32;
  // Rows that valid_mask leaves out stay what they are, so that one call for each stream fills the same arrays. False:
  // they are -1 and 0.
  bool keep_masked = false;
};

// What RouteBackward() reads and writes.
struct Gradients {
  // [rows, top_k], as Route() wrote them.
  const void* ids = nullptr;
  IntType ids_type = IntType::kInt32;
  // Each kFloat32, or the logits' type.
  FloatType d_weights_type = FloatType::kFloat32;
  FloatType d_logits_type = FloatType::kFloat32;
  // [rows, top_k], of the loss by the weights.
  const void* d_weights = nullptr;
  // [rows, num_experts], of the loss by the logits: written wholly.
  void* d_logits = nullptr;
};

// What a router of the trainer's own chose.
struct Ids {
  int64_t rows = 0;
  // [rows, top_k], `ids_stride` elements from row to row (0: top_k); -1 where there is no expert.
  const void* ids = nullptr;
  int64_t ids_stride = 0;
  // bool [rows]; a row whose entry is 0 is skipped. Null: none is.
  const uint8_t* valid_mask = nullptr;
  IntType ids_type = IntType::kInt32;
  // As of Tokens.
  int stream = 0;
  int64_t micro_batch = -1;
};

// What the trainer has counted by itself.
struct Counts {
  // uint64 [num_experts], which sum to top_k * valid_tokens - short_slots.
  const uint64_t* counts = nullptr;
  uint64_t valid_tokens = 0;
  uint64_t short_slots = 0;
  // As of Tokens.
  int stream = 0;
  int64_t micro_batch = -1;
};

// The newest version that this worker routes with, and what the coordinator said of the step that made it.
struct StepReport {
  uint64_t epoch = 0;
  uint64_t step = 0;
  // False when a worker reported the step as not taken.
  bool ok = true;
  // XXH3-64 over the bias of all layers: equal on all workers.
  uint64_t bias_hash = 0;
  // Valid tokens of the step over all workers.
  uint64_t tokens = 0;
  // (largest count - mean) / mean of each layer, in the order of WorkerOptions::layers.
  std::vector<float> max_violation;
  // Steps by which the current bias is older than the one that is due.
  uint64_t staleness = 0;
  // Steps that this worker has committed and the coordinator not yet; and those of them whose counts were lost. 0 on
  // ranks of a group that do not push for it.
  uint64_t undelivered_steps = 0;
  uint64_t lost_steps = 0;
  // Things about the step that cannot be right, each a line in the coordinator's log; and whether the job has been
  // halted for such.
  int violations = 0;
  bool halted = false;
  // Workers that commit by themselves, and groups, whose counts are in the step.
  int contributors = 0;
};

}  // namespace evenkeel
