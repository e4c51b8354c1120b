#include "job/reference_model.h"

#include <algorithm>
#include <utility>

#include "job/test_messages.h"
#include "kernels/balance/reference_update.h"
#include "xxhash.h"

namespace evenkeel::job {

ReferenceModel::ReferenceModel(const JobPlan* plan, Options options) : plan_(plan), options_(std::move(options)) {}

uint64_t ReferenceModel::Draw(int contributor, uint64_t step, int layer, uint64_t index) const {
  const uint64_t place[] = {static_cast<uint64_t>(contributor), step, static_cast<uint64_t>(layer), index};
  return XXH3_64bits_withSeed(place, sizeof(place), options_.seed);
}

bool ReferenceModel::Ok(int contributor, uint64_t step) const {
  return options_.one_skip_in == 0 || Draw(contributor, step, /*layer=*/-1, 0) % options_.one_skip_in != 0;
}

// Tokens choose neighbouring experts, those of low index more often; here and there one finds no candidate for its last
// slot, and a layer has no tokens at all.
ReferenceModel::LayerCounts ReferenceModel::Count(int contributor, uint64_t step, int layer) const {
  const int num_experts = plan_->layers[layer].num_experts;
  const int top_k = plan_->layers[layer].top_k;
  LayerCounts result;
  result.experts.resize(num_experts);
  const uint64_t size = Draw(contributor, step, layer, 0);
  result.tokens = size % 8 == 0 ? 0 : size / 8 % 24;
  for (uint64_t token = 0; token < result.tokens; ++token) {
    const uint64_t draw = Draw(contributor, step, layer, 1 + token);
    const uint64_t first = std::min(draw % num_experts, draw / 1024 % num_experts);
    const bool is_short = draw >> 60 == 0;
    for (int slot = 0; slot < top_k - is_short; ++slot) result.experts[(first + slot) % num_experts] += options_.scale;
    result.short_slots += is_short * options_.scale;
  }
  result.tokens *= options_.scale;
  return result;
}

v1::PushRequest ReferenceModel::Payload(int contributor, uint64_t step) const {
  v1::PushRequest push;
  push.set_ok(Ok(contributor, step));
  std::vector<uint64_t> flat;
  for (const int layer : options_.owned[contributor]) {
    const LayerCounts counts = Count(contributor, step, layer);
    flat.insert(flat.end(), counts.experts.begin(), counts.experts.end());
    push.add_valid_tokens(counts.tokens);
    push.add_short_slots(counts.short_slots);
  }
  *push.mutable_routed() = PackCounts(flat);
  return push;
}

void ReferenceModel::Advance(uint64_t step, JobState* state) const {
  const int contributors = static_cast<int>(options_.owned.size());
  for (JobState::Layer& layer : state->layers) {
    layer.last_counts.assign(layer.last_counts.size(), 0);
    layer.last_tokens = 0;
  }
  state->ok = true;
  for (int contributor = 0; contributor < contributors; ++contributor) {
    state->ok = state->ok && Ok(contributor, step);
    for (const int index : options_.owned[contributor]) {
      const LayerCounts counts = Count(contributor, step, index);
      JobState::Layer& layer = state->layers[index];
      for (size_t e = 0; e < counts.experts.size(); ++e) layer.last_counts[e] += counts.experts[e];
      layer.last_tokens += counts.tokens;
    }
  }

  balance::StepInfo info{step, state->position + 1};
  if (plan_->effective.mode() == v1::JobSpec::Mode::FROZEN) info.mode = balance::Mode::kFrozen;
  if (plan_->effective.mode() == v1::JobSpec::Mode::OBSERVE) info.mode = balance::Mode::kObserve;
  const bool applied = state->ok || plan_->effective.skip_policy() == v1::JobSpec::SkipPolicy::APPLY;
  for (size_t i = 0; i < state->layers.size(); ++i) {
    JobState::Layer& layer = state->layers[i];
    if (applied) {
      balance::ReferenceUpdate(plan_->balance[i], info, layer.last_counts, layer.last_tokens, &layer.balance);
    } else {
      layer.balance.last_commit = step;
      layer.balance.last_reason = balance::UpdateReason::kSkipped;
    }
  }
  state->version.set_step(step);
  state->position += state->ok;
}

std::vector<JobState> ReferenceModel::Trajectory(uint64_t last_step) const {
  JobState state;
  for (const LayerTable::Layer& layer : plan_->layers.layers()) {
    state.layers.push_back({balance::InitialState(layer.num_experts), std::vector<uint64_t>(layer.num_experts), 0});
  }
  std::vector<JobState> states = {state};
  for (size_t i = 0; i < options_.owned.size(); ++i) state.participants.push_back(i);
  for (uint64_t step = 1; step <= last_step; ++step) {
    Advance(step, &state);
    states.push_back(state);
  }
  return states;
}

}  // namespace evenkeel::job
