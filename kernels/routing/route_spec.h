#pragma once

#include "absl/status/status.h"

// What a model family's router does: the data from which every router of this library works. Plain data: copy it
// freely, share it between threads for reading.
//
// One row (one token) is routed in this order:
//   logits -> score -> + bias -> group filter -> top_k -> weights, gathered from unbiased values
//          -> normalise -> scale.
// route.h says what happens with NaN, ties, masked rows and rows that have too few experts.
namespace evenkeel::routing {

inline constexpr int kMaxExperts = 16384;

// What the bias is added to.
enum class Score {
  kSigmoid,       // 1 / (1 + exp(-x)), arXiv 2412.19437
  kSoftmax,       // over all experts
  kSqrtSoftplus,  // sqrt(log(1 + exp(x)))
  kLogit,         // x itself
};

// What the weight of a chosen expert is, before normalising and scaling.
enum class Weight {
  kScore,              // its score, without the bias
  kSoftmax,            // its softmax over all experts
  kSoftmaxOfSelected,  // its softmax over the chosen experts
  kSigmoidOfSelected,  // the sigmoid of its logit
};

// The score of a group, made of its candidates in descending order and added in that order in float32. A group
// with fewer candidates than its score asks for takes those it has; a group with none ranks after all others.
enum class GroupScore {
  kTop2Sum,  // the two best, as in DeepSeek-V3
  kMax,      // the best, as in DeepSeek-V2
  kTopkSum,  // the best floor(top_k / top_groups), as in Megatron-Core
};

// What becomes of the candidates of a group that was not kept.
enum class DroppedGroupFill {
  kNegInf,  // they are candidates no more
  kZero,    // they stay candidates, with a biased score of 0
};

struct RouteSpec {
  int num_experts = 0;  // 1 .. kMaxExperts
  int top_k = 0;        // slots per row, 1 .. num_experts
  Score score = Score::kSigmoid;
  Weight weight = Weight::kScore;

  // Expert e belongs to group e / (num_experts / num_groups). num_groups 0, 1 and -1 mean no grouping, and the
  // four fields after it are then not read.
  int num_groups = 0;
  int top_groups = 0;  // groups kept per row, 1 .. num_groups
  GroupScore group_score = GroupScore::kTop2Sum;
  bool group_score_biased = true;  // groups are scored with the bias, or without
  DroppedGroupFill dropped_group_fill = DroppedGroupFill::kNegInf;

  // normalize: every weight is divided by max(sum of the row's weights + normalize_epsilon, normalize_min), in
  // every weight mode. Where that divisor is 0, or the sum is not finite, the row's weights are 0.
  bool normalize = false;
  float normalize_epsilon = 0;  // finite, >= 0
  float normalize_min = 0;      // finite, >= 0

  // The scale multiplies once. By default it multiplies the weight, after normalising. With scale_before_bias it
  // multiplies the SCORE before the bias is added: the weight mode kScore then carries the scaled score
  // (normalised if asked) and is not scaled again; the other weight modes are scaled at the end as ever.
  float scale = 1;  // finite, > 0
  bool scale_before_bias = false;
};

// True when groups are on: num_groups is none of 0, 1, -1.
bool GroupsActive(const RouteSpec& spec);

// Experts in one group; num_experts when groups are off. The spec must be valid.
int ExpertsPerGroup(const RouteSpec& spec);

// The number of candidates that make a group's score: 2, 1, or top_k / top_groups. Groups must be on.
int GroupScoreTerms(const RouteSpec& spec);

// True when the weights are the softmax over all experts or the score is: such a row has no candidates when that
// softmax comes out NaN.
bool NeedsRowSoftmax(const RouteSpec& spec);

// True when the weights are the softmax over all experts, by the weight mode or by the score: every logit of a row then
// moves every weight.
bool WeightsAreSoftmaxOfAll(const RouteSpec& spec);

// True when the weights are scaled at the end; if not, the scores have been.
bool WeightsAreScaled(const RouteSpec& spec);

// OK, or INVALID_ARGUMENT naming the first field that is wrong, its value, and what it must be:
//   num_experts in [1, kMaxExperts]; top_k in [1, num_experts]; with groups on, num_groups >= 1 divides
//   num_experts, top_groups in [1, num_groups], top_k <= top_groups * experts per group, kTop2Sum needs two
//   experts per group, kTopkSum needs top_k >= top_groups; normalize_epsilon and normalize_min finite and >= 0;
//   scale finite and > 0; every enum one of its values.
// Every other function of this library that takes a RouteSpec expects a valid one, unless it says otherwise.
absl::Status Validate(const RouteSpec& spec);

}  // namespace evenkeel::routing
