#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Router logits, padding and tokens of a training run that never was: the one generator that benchmarks, load tests,
// tests and the quick start's worker share.
//
// Counter-based: a value depends on the options and on (step, layer, contributor, row) alone, however the rows are
// batched. Integers and single IEEE operations make it, no library's function: equal bits on every machine.
namespace evenkeel::synthetic {

// A logit is noise + the expert's popularity at that layer and step.
//
// Noise is new for every token and expert: mean 0, variance 1, nearly normal, within (-3, 3).
//
// Popularities are spread evenly over [-1.73 skew, 1.73 skew], which makes `skew` their standard deviation; which
// expert has which differs from layer to layer. Maximum violation, (largest count - mean) / mean, of the K largest
// logits of many tokens:
//   skew          0    0.25   0.5   1     2     4
//   E 64, K 6     0    0.9    1.9   3.6   6.0   8.5      largest possible: E / K - 1 = 9.7
//   E 256, K 8    0    1.3    2.8   5.4   9.6   15.7     31
//
// With drift, every expert's popularity goes down and up between the ends of that range, in a straight line and a cycle
// of 1 / drift steps, while the range stays as full as it was: at drift 0.01 the most popular expert is the least
// popular one 50 steps later.
struct SyntheticOptions {
  uint64_t seed = 1;
  int layers = 1;           // 1 .. 4,096
  int num_experts = 64;     // of each layer, 1 .. 16,384
  double skew = 0;          // 0 .. 1,000; 0 is even
  double drift = 0;         // cycles per step, 0 .. 1
  int dead_experts = 0;     // of each layer, below num_experts: their logits are below those of all others
  double padding = 0;       // the share of tokens that are padding, 0 .. 1
  int vocabulary = 32'768;  // 1 .. 2^30
};

// The rows of one call: tokens first .. first + rows - 1 of one contributor's step.
struct TokenRange {
  uint64_t step = 1;
  int contributor = 0;
  int64_t first = 0;  // >= 0
  int64_t rows = 0;   // >= 0
};

// Immutable: any number of threads may call one. Nothing is allocated after Create.
class SyntheticLoad {
 public:
  // INVALID_ARGUMENT, naming the option and its value, for one that is out of its range.
  static absl::StatusOr<SyntheticLoad> Create(const SyntheticOptions& options);

  const SyntheticOptions& options() const { return options_; }

  // float32 [rows, num_experts], `stride` >= num_experts elements from row to row; between the rows nothing is written.
  // 0 <= layer < layers. Padding has logits like any token.
  void FillLogits(const TokenRange& tokens, int layer, float* logits, int64_t stride) const;

  // bool [rows]: 0 is padding. The same at all layers, as padding is a matter of the token.
  void FillValidMask(const TokenRange& tokens, uint8_t* valid_mask) const;

  // int32 [rows] in [0, vocabulary), by Zipf's law in octaves: id 0, ids 1 and 2, ids 3 to 6, ids 7 to 14, ... are
  // equally likely as a whole, and each id of such an octave is.
  void FillTokenIds(const TokenRange& tokens, int32_t* ids) const;

 private:
  explicit SyntheticLoad(const SyntheticOptions& options);

  float Popularity(uint64_t step, int layer, int expert) const;

  SyntheticOptions options_;
  uint32_t drift_ = 0;    // the cycle is 2^32
  uint64_t padding_ = 0;  // in 2^-32
  int octaves_ = 0;       // of the vocabulary
  float reach_ = 0;       // the largest popularity
  // [layers, num_experts]: where in its cycle an expert's popularity is at step 0. A dead expert has none.
  std::vector<uint32_t> phases_;
  std::vector<uint8_t> dead_;
};

}  // namespace evenkeel::synthetic
