#include "job/reference_model.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "job/test_messages.h"
#include "kernels/balance/reference_update.h"
#include "xxhash.h"

namespace evenkeel::job {

ReferenceModel::ReferenceModel(const JobPlan* plan, Options options) : plan_(plan), options_(std::move(options)) {}

uint64_t ReferenceModel::Draw(const Part& part, int row, uint64_t index) const {
  const uint64_t place[] = {static_cast<uint64_t>(part.contributor), part.step, static_cast<uint64_t>(row), index};
  return XXH3_64bits_withSeed(place, sizeof(place), options_.seed ^ part.draw);
}

bool ReferenceModel::Ok(const Part& part) const {
  if (options_.ok) return options_.ok(part.contributor, part.step);
  return options_.one_skip_in == 0 || Draw(part, /*row=*/-1, 0) % options_.one_skip_in != 0;
}

bool ReferenceModel::Replayed(const Part& part) const {
  if (options_.replayed) return options_.replayed(part.contributor, part.step);
  return options_.one_replay_in != 0 && Draw(part, /*row=*/-1, 1) % options_.one_replay_in == 0;
}

// Tokens choose neighbouring experts, those of low index more often; here and there one finds no candidate for its last
// slot, and a row has no tokens at all. A capacity limit drops what goes beyond an expert's share.
ReferenceModel::LayerCounts ReferenceModel::Count(Part part, int row) const {
  if (options_.count) return options_.count(part.contributor, part.step, row);
  const auto twin = options_.twin_of.find(part.contributor);
  if (twin != options_.twin_of.end() && part.step >= options_.twins_from) part.contributor = twin->second;
  const int num_experts = plan_->layers[row].num_experts;
  const int top_k = plan_->layers[row].top_k;
  LayerCounts result;
  result.experts.resize(num_experts);
  const uint64_t size = Draw(part, row, 0);
  result.tokens = size % 8 == 0 || row == options_.silent_layer ? 0 : size / 8 % 24;
  for (uint64_t token = 0; token < result.tokens; ++token) {
    const uint64_t draw = Draw(part, row, 1 + token);
    const uint64_t first = std::min(draw % num_experts, draw / 1024 % num_experts);
    const bool is_short = draw >> 60 == 0;
    for (int slot = 0; slot < top_k - is_short; ++slot) result.experts[(first + slot) % num_experts] += options_.scale;
    result.short_slots += is_short * options_.scale;
  }
  result.tokens *= options_.scale;
  if (plan_->layers[row].dispatched_offset < 0) return result;
  const uint64_t capacity = result.tokens * top_k / num_experts;
  for (const uint64_t routed : result.experts) result.dispatched.push_back(std::min(routed, capacity));
  return result;
}

std::vector<int> ReferenceModel::RanksOf(int contributor) const {
  return options_.ranks.empty() ? std::vector<int>{contributor} : options_.ranks[contributor];
}

v1::PushRequest ReferenceModel::Payload(int contributor, uint64_t step, uint64_t draw) const {
  const Part part = {contributor, step, draw};
  v1::PushRequest push;
  push.set_ok(Ok(part));
  push.set_replayed(Replayed(part));
  std::vector<uint64_t> routed;
  std::vector<uint64_t> dispatched;
  for (const int row : options_.owned[contributor]) {
    const LayerCounts counts = Count(part, row);
    routed.insert(routed.end(), counts.experts.begin(), counts.experts.end());
    dispatched.insert(dispatched.end(), counts.dispatched.begin(), counts.dispatched.end());
    push.add_valid_tokens(counts.tokens);
    push.add_short_slots(counts.short_slots);
  }
  *push.mutable_routed() = PackCounts(routed);
  if (!dispatched.empty()) *push.mutable_dispatched() = PackCounts(dispatched);
  if (!options_.tells_checks) return push;
  for (const uint64_t fingerprint : Fingerprints(part)) push.add_rank_fingerprints(fingerprint);
  for (const int rank : RanksOf(contributor)) {
    if (options_.diverged.count({step, rank}) > 0) push.add_diverged_ranks(rank);
  }
  return push;
}

std::vector<uint64_t> ReferenceModel::Fingerprints(const Part& part) const {
  std::vector<uint64_t> counted;
  uint64_t tokens = 0;
  for (const int layer : options_.owned[part.contributor]) {
    const LayerCounts counts = Count(part, layer);
    counted.push_back(layer);
    counted.push_back(counts.tokens);
    counted.insert(counted.end(), counts.experts.begin(), counts.experts.end());
    tokens += counts.tokens;
  }
  std::vector<uint64_t> fingerprints;
  for (size_t i = 0; i < RanksOf(part.contributor).size(); ++i) {
    const uint64_t fingerprint = XXH3_64bits_withSeed(counted.data(), counted.size() * sizeof(uint64_t), i);
    fingerprints.push_back(tokens == 0 ? 0 : fingerprint);
  }
  return fingerprints;
}

uint64_t ReferenceModel::Due(uint64_t step) const {
  const uint64_t behind = 1 + plan_->effective.lag();
  return step < behind ? 0 : step - behind;
}

const JobPlan& ReferenceModel::PlanAt(uint64_t step) const {
  const auto later = options_.changes.upper_bound(step);
  return later == options_.changes.begin() ? *plan_ : std::prev(later)->second;
}

void ReferenceModel::ForgetEma(uint64_t before, uint64_t step, int layer, balance::LayerState* state) const {
  if (PlanAt(before).balance[layer].rule == PlanAt(step).balance[layer].rule) return;
  for (float& ema : state->ema) ema = 0;
  state->ema_product = 1;
}

ReferenceModel::Step ReferenceModel::Take(uint64_t step, const Deliveries& deliveries) const {
  const uint64_t due = Due(step);
  Step result;
  result.routed_with = due;
  for (const LayerTable::Row& row : plan_->layers.rows()) {
    LayerCounts& counts = result.layers.emplace_back();
    counts.experts.resize(row.num_experts);
    if (row.dispatched_offset >= 0) counts.dispatched.resize(row.num_experts);
  }
  std::set<uint64_t> stale_versions;
  for (int contributor = 0; contributor < static_cast<int>(options_.owned.size()); ++contributor) {
    const auto found = deliveries.find({step, contributor});
    const Delivery delivery = found == deliveries.end() ? Delivery() : found->second;
    if (delivery.missing) {
      for (int row = 0; row < plan_->layers.size(); ++row) result.unknown_layers.insert(row);
      continue;
    }
    const uint64_t routed_with = delivery.routed_with.value_or(due);
    const Part part = {contributor, step, delivery.draw};
    result.ok = result.ok && Ok(part);
    if (routed_with < due) stale_versions.insert(routed_with);
    result.replayed = result.replayed || Replayed(part);
    if (delivery.counts_lost) {
      result.unknown_layers.insert(options_.owned[contributor].begin(), options_.owned[contributor].end());
      continue;
    }
    result.participants.push_back(part);
    result.staleness = std::max(result.staleness, due - routed_with);
    if (!delivery.provisional) result.routed_with = std::min(result.routed_with, routed_with);
    for (const int index : options_.owned[contributor]) {
      const LayerCounts counts = Count(part, index);
      LayerCounts& layer = result.layers[index];
      for (size_t e = 0; e < counts.experts.size(); ++e) layer.experts[e] += counts.experts[e];
      for (size_t e = 0; e < counts.dispatched.size(); ++e) layer.dispatched[e] += counts.dispatched[e];
      layer.tokens += counts.tokens;
    }
  }
  result.stale = result.routed_with < due;
  const bool applies = result.ok || plan_->effective.skip_policy() == v1::JobSpec::SkipPolicy::APPLY;
  result.moves = applies && !result.replayed;
  for (const uint64_t version : stale_versions) result.stale_versions.emplace_back().set_step(version);
  return result;
}

void ReferenceModel::Judge(uint64_t number, const JobState& before, Step* step) const {
  const auto find = [step](v1::Violation::Kind kind) {
    step->violations.emplace_back().set_kind(kind);
    return &step->violations.back();
  };
  const JobPlan& plan = PlanAt(number);
  std::vector<int> diverged;
  // Ranks that counted the same at the same layers.
  std::map<std::pair<uint64_t, std::vector<int>>, std::vector<int>> alike;
  for (const Part& part : step->participants) {
    if (!options_.tells_checks) break;
    const std::vector<uint64_t> fingerprints = Fingerprints(part);
    const std::vector<int> ranks = RanksOf(part.contributor);
    for (size_t i = 0; i < ranks.size(); ++i) {
      if (options_.diverged.count({number, ranks[i]}) > 0) diverged.push_back(ranks[i]);
      if (fingerprints[i] != 0) alike[{fingerprints[i], options_.owned[part.contributor]}].push_back(ranks[i]);
    }
  }
  if (!diverged.empty()) {
    std::sort(diverged.begin(), diverged.end());
    *find(v1::Violation::BIAS_DIFFERS)->mutable_ranks() = {diverged.begin(), diverged.end()};
  }
  std::set<std::vector<int>> same_tokens;
  for (auto& [fingerprint, ranks] : alike) {
    std::sort(ranks.begin(), ranks.end());
    if (ranks.size() > 1) same_tokens.insert(ranks);
  }
  for (const std::vector<int>& ranks : same_tokens) {
    *find(v1::Violation::SAME_TOKENS)->mutable_ranks() = {ranks.begin(), ranks.end()};
  }
  // By layer, whatever its streams.
  std::map<std::string, uint64_t> tokens;
  std::map<std::string, uint64_t> total_tokens;
  for (int i = 0; i < plan.layers.size(); ++i) {
    tokens[plan.layers[i].name] += step->layers[i].tokens;
    total_tokens[plan.layers[i].name] += before.layers[i].total_tokens + step->layers[i].tokens;
  }
  const uint64_t most = plan.effective.tokens_per_step();
  for (const auto& [name, of_layer] : tokens) {
    if (most > 0 && of_layer > most) find(v1::Violation::TOO_MANY_TOKENS)->set_layer(name);
  }
  for (const auto& [name, of_layer] : total_tokens) {
    const int row = plan.layers.Find(name);
    const bool ends_warm_up = step->ok && before.position + 1 == std::max<uint64_t>(1, plan.balance[row].warmup_steps);
    if (ends_warm_up && of_layer == 0 && step->unknown_layers.count(row) == 0) {
      find(v1::Violation::SILENT_LAYER)->set_layer(name);
    }
  }
  const bool halts = plan.effective.invariant_policy() == v1::JobSpec::InvariantPolicy::HALT;
  step->halted = before.halt.has_value() || (halts && !step->violations.empty());
  step->moves = step->moves && !step->halted;
}

uint64_t ReferenceModel::FirstOfMove(const std::vector<Step>& steps) {
  uint64_t first = steps.size() - 1;
  while (steps[first].stale) {
    uint64_t before = first - 1;
    while (before > 0 && !steps[before].moves) --before;
    if (before == 0 || steps[before].routed_with != steps[first].routed_with) break;
    first = before;
  }
  return first;
}

JobState ReferenceModel::Next(const std::vector<Step>& steps, const std::vector<JobState>& states) const {
  const uint64_t step = states.size();
  const Step& last = steps[step];
  JobState state = states[step - 1];
  balance::StepInfo info{step, state.position + 1};
  const JobPlan& plan = PlanAt(step);
  if (plan.effective.mode() == v1::JobSpec::Mode::FROZEN) info.mode = balance::Mode::kFrozen;
  if (plan.effective.mode() == v1::JobSpec::Mode::OBSERVE) info.mode = balance::Mode::kObserve;
  const uint64_t first = FirstOfMove(steps);
  for (size_t i = 0; i < state.layers.size(); ++i) {
    JobState::Layer& layer = state.layers[i];
    if (last.moves) {
      std::vector<uint64_t> counts(last.layers[i].experts.size());
      uint64_t tokens = 0;
      for (uint64_t s = first; s <= step; ++s) {
        if (!steps[s].moves) continue;
        for (size_t e = 0; e < counts.size(); ++e) counts[e] += steps[s].layers[i].experts[e];
        tokens += steps[s].layers[i].tokens;
      }
      layer.balance = states[first - 1].layers[i].balance;
      ForgetEma(first - 1, step, i, &layer.balance);
      balance::ReferenceUpdate(plan.balance[i], info, counts, tokens, &layer.balance);
    } else {
      ForgetEma(step - 1, step, i, &layer.balance);
      layer.balance.last_commit = step;
      const bool skipped = !last.ok && plan_->effective.skip_policy() != v1::JobSpec::SkipPolicy::APPLY;
      const auto rests = last.halted ? balance::UpdateReason::kHalted : balance::UpdateReason::kReplayed;
      layer.balance.last_reason = skipped ? balance::UpdateReason::kSkipped : rests;
    }
    layer.last_counts = last.layers[i].experts;
    layer.last_tokens = last.layers[i].tokens;
    layer.last_dispatched = last.layers[i].dispatched;
    layer.total_tokens += last.layers[i].tokens;
  }
  state.violations = last.violations;
  if (last.halted && !state.halt.has_value()) {
    state.halt.emplace().set_step(step);
    *state.halt->mutable_cause() = last.violations.front();
  }
  state.version.set_step(step);
  state.ok = last.ok;
  state.position += last.ok;
  state.participants.clear();
  for (const Part& part : last.participants) state.participants.push_back(part.contributor);
  state.staleness = last.staleness;
  state.stale_versions = last.stale_versions;
  return state;
}

std::vector<JobState> ReferenceModel::Trajectory(uint64_t last_step, const Deliveries& deliveries) const {
  JobState state;
  for (const LayerTable::Row& row : plan_->layers.rows()) {
    state.layers.push_back({balance::InitialState(row.num_experts), std::vector<uint64_t>(row.num_experts), 0});
    if (row.dispatched_offset >= 0) state.layers.back().last_dispatched.resize(row.num_experts);
  }
  std::vector<JobState> states = {state};
  std::vector<Step> steps(1);  // there is no step 0
  for (uint64_t step = 1; step <= last_step; ++step) {
    steps.push_back(Take(step, deliveries));
    if (options_.finds_violations) Judge(step, states.back(), &steps.back());
    states.push_back(Next(steps, states));
  }
  return states;
}

void TakeMessages(const v1::JobState& from, JobState* state) {
  for (size_t i = 0; i < state->violations.size() && static_cast<int>(i) < from.violations_size(); ++i) {
    state->violations[i].set_message(from.violations(i).message());
  }
  if (state->halt.has_value()) state->halt->mutable_cause()->set_message(from.halt().cause().message());
}

}  // namespace evenkeel::job
