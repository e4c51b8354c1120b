#pragma once

#include <chrono>
#include <cstdint>
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
  // float32 [num_experts], finite: the bias that a new job begins with at this layer, as the model brings it, the same
  // on all workers. Empty: 0. Once a step has been committed, a worker that joins may leave it out.
  std::vector<float> initial_bias = {};
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
  // Bounds of the only calls that wait: Join, and BeginStep and Leave. Each covers reconnecting to a coordinator that
  // restarts.
  std::chrono::milliseconds join_timeout{60'000};
  std::chrono::milliseconds begin_step_timeout{60'000};
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
};

}  // namespace evenkeel
