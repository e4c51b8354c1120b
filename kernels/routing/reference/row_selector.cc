#include "kernels/routing/reference/row_selector.h"

#include <algorithm>
#include <limits>

#include "kernels/ieee.h"
#include "kernels/routing/forced_balance.h"

namespace evenkeel::routing {
namespace {

// Below every candidate, whose key is finite.
constexpr float kNoCandidate = -std::numeric_limits<float>::infinity();

int GroupsOf(const RouteSpec& spec) { return GroupsActive(spec) ? spec.num_groups : 0; }

}  // namespace

RowSelector::RowSelector(const RouteSpec& spec)
    : spec_(spec),
      keys_(spec.num_experts),
      best_(spec.num_experts),
      best_groups_(GroupsOf(spec)),
      kept_(GroupsOf(spec)),
      replayed_(spec.num_experts) {}

void RowSelector::ByScore(const float* scores, const float* bias, int32_t* ids) {
  for (int e = 0; e < spec_.num_experts; ++e) {
    // Finite only where the score and the bias are.
    const float biased = ieee::Add(scores[e], bias == nullptr ? 0.0f : bias[e]);
    keys_[e] = ieee::IsFinite(biased) ? biased : kNoCandidate;
  }
  if (GroupsActive(spec_)) FilterGroups(scores);
  TakeBest(ids);
}

void RowSelector::None(int32_t* ids) const { std::fill_n(ids, spec_.top_k, -1); }

void RowSelector::Replay(const int32_t* given, int32_t* ids) {
  std::fill(replayed_.begin(), replayed_.end(), false);
  for (int slot = 0; slot < spec_.top_k; ++slot) {
    const int32_t id = given[slot];
    const bool usable = id >= 0 && id < spec_.num_experts && !replayed_[id];
    if (usable) replayed_[id] = true;
    ids[slot] = usable ? id : -1;
  }
}

void RowSelector::RoundRobin(int64_t row, int32_t* ids) const {
  for (int slot = 0; slot < spec_.top_k; ++slot) {
    ids[slot] = RoundRobinExpert(row, slot, spec_.top_k, spec_.num_experts);
  }
}

void RowSelector::Random(uint64_t seed, int64_t row, int32_t* ids) {
  const uint64_t row_key = RandomRowKey(seed, row);
  for (int e = 0; e < spec_.num_experts; ++e) keys_[e] = RandomScore(row_key, e);
  TakeBest(ids);
}

void RowSelector::FilterGroups(const float* scores) {
  const int experts = ExpertsPerGroup(spec_);
  best_groups_.Reset(spec_.top_groups);
  for (int group = 0; group < spec_.num_groups; ++group) {
    best_.Reset(GroupScoreTerms(spec_));
    for (int e = group * experts; e < (group + 1) * experts; ++e) {
      if (keys_[e] > kNoCandidate) best_.Offer({spec_.group_score_biased ? keys_[e] : scores[e], e});
    }
    if (best_.size() == 0) continue;
    float sum = best_[0].value;
    for (int rank = 1; rank < best_.size(); ++rank) sum = ieee::Add(sum, best_[rank].value);
    best_groups_.Offer({sum, group});
  }

  std::fill(kept_.begin(), kept_.end(), false);
  for (int rank = 0; rank < best_groups_.size(); ++rank) kept_[best_groups_[rank].id] = true;
  const float fill = spec_.dropped_group_fill == DroppedGroupFill::kZero ? 0 : kNoCandidate;
  for (int e = 0; e < spec_.num_experts; ++e) {
    if (!kept_[e / experts] && keys_[e] > kNoCandidate) keys_[e] = fill;
  }
}

void RowSelector::TakeBest(int32_t* ids) {
  best_.Reset(spec_.top_k);
  for (int e = 0; e < spec_.num_experts; ++e) {
    if (keys_[e] > kNoCandidate) best_.Offer({keys_[e], e});
  }
  for (int slot = 0; slot < spec_.top_k; ++slot) ids[slot] = slot < best_.size() ? best_[slot].id : -1;
}

}  // namespace evenkeel::routing
