#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "evenkeel/status.h"

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
};

struct WorkerOptions {
  // host:port of evenkeeld.
  std::string coordinator = "127.0.0.1:7411";
  // Name of the training run, the same on all workers.
  std::string job;
  // This worker's place among the `contributors` that every step waits for.
  int contributor = 0;
  int contributors = 1;
  std::vector<LayerOptions> layers;
  // A BalanceConfig as JSON or YAML, for example R"({"preset": "loss_free", "rate": 0.001})", the same on all workers.
  // Empty: the coordinator's default.
  std::string balance;
  // The optimizer step that BeginStep will be called for first.
  uint64_t next_step = 1;
  // Bounds of the only calls that wait: Join, and BeginStep and Leave. Each covers reconnecting to a coordinator that
  // restarts.
  std::chrono::milliseconds join_timeout{60'000};
  std::chrono::milliseconds begin_step_timeout{60'000};
};

// The tokens of one micro-batch at one layer, in host memory; all arrays stay the caller's.
struct Tokens {
  int64_t rows = 0;
  // float32 [rows, num_experts], `logits_stride` elements from row to row (0: num_experts).
  const float* logits = nullptr;
  int64_t logits_stride = 0;
  // bool [rows]; a token whose entry is 0 is neither routed nor counted. Null: all are valid.
  const uint8_t* valid_mask = nullptr;
};

// Where Route() writes; null for what is not wanted.
struct Assignments {
  // int32 [rows, top_k], by descending biased score; -1 where there is no expert.
  int32_t* ids = nullptr;
  // float32 [rows, top_k], from unbiased scores; 0 where there is no expert.
  float* weights = nullptr;
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
};

// A training worker's end of the loop:
//
//   BeginStep(step) -> Route() or Count() for every layer and micro-batch -> Commit(step) -> BeginStep(step + 1) -> ...
//
// Counting is local; Commit hands the sums to a thread of the library, which delivers them, once, through restarts of
// the coordinator. Only Join, BeginStep and Leave wait, and each no longer than its bound.
//
// One thread at a time may call a Worker. What bias() points to may be read by any thread, and is written only in
// BeginStep and Leave.
class Worker {
 public:
  // Registers with the coordinator and fetches the bias.
  //   INVALID_ARGUMENT     an option is wrong, or differs from what the other workers say; the message names it
  //   FAILED_PRECONDITION  the job is at another step than next_step; the message names it
  //   ALREADY_EXISTS       a newer process holds this contributor's place
  //   DEADLINE_EXCEEDED    no coordinator answered within join_timeout
  static Result<std::unique_ptr<Worker>> Join(const WorkerOptions& options);

  // Breaks off what is on its way, at once. Without a Leave before it, the slot stays this process's until a new one
  // replaces it.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Makes the bias valid from `step` the current one, waiting for the commit of the step before.
  //   DEADLINE_EXCEEDED    it did not come within begin_step_timeout; the call may be repeated
  //   FAILED_PRECONDITION  `step` is not the one after the last commit
  //   anything else        the coordinator refused the last commit; the message says why, and it is final
  Status BeginStep(uint64_t step);

  // Routes tokens of `layer` (an index of WorkerOptions::layers) with the current bias and counts the assignments.
  // FAILED_PRECONDITION outside BeginStep..Commit or for a layer without a route; INVALID_ARGUMENT for an index that is
  // no layer's, negative rows, missing logits or a stride below num_experts. Nothing is written or counted then. NaN
  // and infinite logits are data.
  Status Route(int layer, const Tokens& tokens, const Assignments& assignments);

  // Counts the assignments of a router of the trainer's own: ids int32 [rows, top_k], -1 where there is none.
  // Masked rows are skipped. INVALID_ARGUMENT, naming row and id, for an id outside -1 .. num_experts - 1 or one that a
  // row holds twice; nothing is counted then.
  Status Count(int layer, const int32_t* ids, int64_t rows, const uint8_t* valid_mask = nullptr);

  // Counts what the trainer has counted: counts uint64 [num_experts], which sum to top_k * valid_tokens - short_slots
  // (INVALID_ARGUMENT otherwise, and nothing is counted).
  Status AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots = 0);

  // Ends the step: the counts of all layers go to the coordinator in the background. With ok = false the optimizer step
  // was not taken on this worker: the step moves no bias on any.
  // FAILED_PRECONDITION when `step` is not the one that BeginStep began.
  Status Commit(uint64_t step, bool ok = true);

  // The current bias of `layer`: float32 [num_experts], at an address that stays the same as long as the Worker. Null
  // for an index that is no layer's.
  const float* bias(int layer) const;

  // Of the current bias; belongs to the Worker and changes with bias().
  const StepReport& report() const;

  // Waits for the version of the last commit, makes it the current one, and gives the slot back. What was counted since
  // BeginStep without a Commit is dropped. Errors as of BeginStep; after OK, further calls are OK too.
  Status Leave();

 private:
  class Impl;
  explicit Worker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace evenkeel
