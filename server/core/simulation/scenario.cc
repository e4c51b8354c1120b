#include "server/core/simulation/scenario.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "job/layer_table.h"

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
    if (random->Percent(25)) layer->set_streams(random->Between(1, 3));
    layer->set_counts_dispatched(random->Percent(25));
  }
  if (random->Percent(25)) {
    v1::LayerOverride* override = spec.add_overrides();
    override->set_layer("layer.0");
    *override->mutable_balance() = DrawBalance(random);
    override->mutable_balance()->set_frozen(random->Percent(25));
  }
  return spec;
}

std::vector<int> RowsOf(const v1::JobSpec& spec, const std::vector<int>& layers) {
  const job::LayerTable table(spec);
  std::vector<int> rows;
  for (const int layer : layers) {
    const int first = table.Find(spec.layers(layer).name());
    for (int stream = 0; stream < table[first].streams; ++stream) rows.push_back(first + stream);
  }
  return rows;
}

// All layers for everyone, or each contributor some, as the stages of a pipeline: their rows.
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
    own = RowsOf(spec, own);
  }
  return owned;
}

// Workers that hold the same tokens, or another bias, or count nothing at a layer, or too much; and what becomes of it.
void DrawViolations(Random* random, JobScenario* job) {
  const int last = job->spec.contributors() - 1;
  job->tells_checks = random->Percent(75);
  if (random->Percent(50)) job->spec.set_world_size(job->spec.contributors());
  if (random->Percent(20)) job->spec.set_tokens_per_step(random->Between(5, 60) * job->scale);
  if (random->Percent(30)) job->spec.set_invariant_policy(v1::JobSpec::InvariantPolicy::HALT);
  if (random->Percent(15)) job->silent_layer = random->Between(0, job->spec.layers_size() - 1);
  for (int i = 0; random->Percent(20) && i < 3; ++i) {
    job->diverged.emplace(random->Between(1, job->steps), random->Between(0, last));
  }
  const int twin = random->Between(0, last);
  const int other = random->Between(0, last);
  if (random->Percent(40) && twin != other && job->owned[twin] == job->owned[other]) job->twin_of[twin] = other;
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
  DrawViolations(random, &job);
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
