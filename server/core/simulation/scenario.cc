#include "server/core/simulation/scenario.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace evenkeel::core::simulation {
namespace {

v1::BalanceConfig DrawBalance(Random* random) {
  v1::BalanceConfig balance;
  balance.set_preset(
      random->OneOf({"loss_free", "deepseek_v3", "megatron", "torchtitan", "axolotl_noaux_tc", "evenkeel"}));
  if (random->Percent(25)) balance.set_min_tokens(random->Between(10, 200));
  if (random->Percent(25)) balance.set_warmup_steps(random->Between(1, 4));
  if (random->Percent(15)) {
    balance.mutable_schedule()->set_kind(v1::Schedule::TO_ZERO);
    balance.mutable_schedule()->set_begin(random->Between(2, 6));
  }
  return balance;
}

v1::JobSpec DrawSpec(const std::string& name, Random* random) {
  v1::JobSpec spec;
  spec.set_name(name);
  spec.set_contributors(random->Between(1, 5));
  spec.set_lag(random->Between(0, 1));
  *spec.mutable_balance() = DrawBalance(random);
  if (random->Percent(10)) spec.set_mode(random->OneOf({v1::JobSpec::Mode::FROZEN, v1::JobSpec::Mode::OBSERVE}));
  if (random->Percent(25)) spec.set_skip_policy(v1::JobSpec::SkipPolicy::APPLY);
  const int layers = random->Between(1, 4);
  for (int i = 0; i < layers; ++i) {
    v1::LayerSpec* layer = spec.add_layers();
    layer->set_name(absl::StrCat("layer.", i));
    layer->set_num_experts(random->Between(1, 8));
    layer->set_top_k(random->Between(1, std::min(layer->num_experts(), 3)));
  }
  if (random->Percent(25)) {
    v1::LayerOverride* override = spec.add_overrides();
    override->set_layer("layer.0");
    *override->mutable_balance() = DrawBalance(random);
    override->mutable_balance()->set_frozen(random->Percent(25));
  }
  return spec;
}

// All layers for everyone, or each contributor some, as the stages of a pipeline.
std::vector<std::vector<int>> DrawOwned(const v1::JobSpec& spec, Random* random) {
  const int contributors = spec.contributors();
  const int layers = spec.layers_size();
  const bool pipeline = contributors > 1 && random->Percent(50);
  std::vector<std::vector<int>> owned(contributors);
  for (int layer = 0; layer < layers; ++layer) {
    const int owner = random->Between(0, contributors - 1);
    for (int i = 0; i < contributors; ++i) {
      if (!pipeline || i == owner || random->Percent(30)) owned[i].push_back(layer);
    }
  }
  for (std::vector<int>& own : owned) {
    if (own.empty()) own.push_back(random->Between(0, layers - 1));
  }
  return owned;
}

JobScenario DrawJob(const std::string& name, Random* random) {
  JobScenario job;
  job.spec = DrawSpec(name, random);
  job.owned = DrawOwned(job.spec, random);
  job.steps = random->Between(1, 16);
  job.seed = random->Next();
  job.one_skip_in = random->OneOf({0, 5, 20});
  job.one_replay_in = random->OneOf({0, 5, 20});
  job.scale = random->Percent(20) ? uint64_t{1} << 33 : 1;
  return job;
}

Faults DrawFaults(Random* random) {
  Faults faults;
  faults.network.loss = random->OneOf({0, 2, 10, 25});
  faults.network.duplication = random->OneOf({0, 5, 25});
  faults.network.max_delay_ms = random->OneOf({2, 10, 60});
  faults.interrupted_writes = random->OneOf({0, 5, 25});
  faults.mean_pause_ms = random->OneOf({25, 80, 300});
  faults.end_ms = random->Between(100, 1200);
  return faults;
}

}  // namespace

Scenario DrawScenario(Random* random) {
  Scenario scenario;
  scenario.jobs.push_back(DrawJob("job", random));
  if (random->Percent(25)) scenario.jobs.push_back(DrawJob("other", random));
  scenario.faults = DrawFaults(random);
  return scenario;
}

}  // namespace evenkeel::core::simulation
