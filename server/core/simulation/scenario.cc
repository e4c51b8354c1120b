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

// All layers for everyone, or each contributor some, as the stages of a pipeline.
std::vector<std::vector<int>> DrawLayers(const v1::JobSpec& spec, Random* random) {
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

// A rank for each contributor, or some lead groups: of neighbours, or of every so-manieth.
std::vector<std::vector<int>> DrawRanks(int contributors, Random* random) {
  std::vector<std::vector<int>> ranks(contributors);
  const bool groups = random->Percent(40);
  const bool neighbours = random->Percent(50);
  std::vector<int> sizes;
  for (int i = 0; i < contributors; ++i) sizes.push_back(groups ? random->Between(1, 4) : 1);
  int next = 0;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < contributors; ++i) {
      if (neighbours && round > 0) continue;
      const int wanted = neighbours ? sizes[i] : round < sizes[i];
      for (int n = 0; n < wanted; ++n) ranks[i].push_back(next++);
    }
  }
  return ranks;
}

int WorldSize(const JobScenario& job) {
  int size = 0;
  for (const std::vector<int>& ranks : job.ranks) size += static_cast<int>(ranks.size());
  return size;
}

// Workers that hold the same tokens, or another bias, or count nothing at a layer, or too much; and what becomes of it.
void DrawViolations(Random* random, JobScenario* job) {
  const int last = job->spec.contributors() - 1;
  job->tells_checks = random->Percent(75);
  if (random->Percent(50)) job->spec.set_world_size(WorldSize(*job));
  if (random->Percent(20)) job->spec.set_tokens_per_step(random->Between(5, 60) * job->scale);
  if (random->Percent(30)) job->spec.set_invariant_policy(v1::JobSpec::InvariantPolicy::HALT);
  if (random->Percent(15)) job->silent_layer = random->Between(0, job->spec.layers_size() - 1);
  for (int i = 0; random->Percent(20) && i < 3; ++i) {
    job->diverged.emplace(random->Between(1, job->steps), random->Between(0, WorldSize(*job) - 1));
  }
  const int twin = random->Between(0, last);
  const int other = random->Between(0, last);
  if (random->Percent(40) && twin != other && job->layers[twin] == job->layers[other]) job->twin_of[twin] = other;
}

// What becomes of missing contributors, and when.
void DrawMembership(Random* random, v1::JobSpec* spec) {
  using Policy = v1::JobSpec::MissingPolicy;
  spec->set_missing_policy(random->OneOf({Policy::WAIT, Policy::FAIL, Policy::COMMIT_WITHOUT, Policy::COMMIT_WITHOUT}));
  v1::Membership* membership = spec->mutable_membership();
  membership->set_heartbeat_timeout_ms(random->OneOf({0, 100, 300, 1000}));
  membership->set_straggler_deadline_ms(random->OneOf({0, 50, 300}));
  membership->set_step_deadline_ms(random->OneOf({0, 150, 500, 2000}));
  membership->set_recovery_grace_ms(random->OneOf({0, 100, 500}));
  membership->set_min_contributors(random->Percent(60) ? 1 : random->Between(1, spec->contributors()));
}

JobScenario DrawJob(const std::string& name, Random* random) {
  JobScenario job;
  job.spec = DrawSpec(name, random);
  DrawMembership(random, &job.spec);
  job.layers = DrawLayers(job.spec, random);
  job.ranks = DrawRanks(job.spec.contributors(), random);
  job.steps = random->Between(1, 16);
  job.fresh_counts = random->Percent(30);
  job.seed = random->Next();
  job.one_skip_in = random->OneOf({0, 5, 20});
  job.one_replay_in = random->OneOf({0, 5, 20});
  job.scale = random->Percent(20) ? uint64_t{1} << 33 : 1;
  DrawViolations(random, &job);
  return job;
}

Incident::Kind DrawKind(Random* random) {
  using Kind = Incident::Kind;
  if (random->Percent(10)) return Kind::kTrainingRestarts;
  if (random->Percent(12)) return random->OneOf({Kind::kClockJumps, Kind::kClockStands});
  if (random->Percent(60)) {
    return random->OneOf({Kind::kWorkerCrashes, Kind::kWorkerLeaves, Kind::kWorkerGivenUp, Kind::kPartition,
                          Kind::kWorkerHangs, Kind::kWorkerSlows});
  }
  return random->Percent(70) ? Kind::kServerCrashes : Kind::kServerStops;
}

Incident DrawIncident(const std::vector<std::string>& places, int64_t at_ms, Random* random) {
  Incident incident;
  incident.kind = DrawKind(random);
  incident.at_ms = at_ms;
  incident.places = {places[random->Between(0, places.size() - 1)]};
  incident.direction = random->OneOf({Direction::kBoth, Direction::kToServer, Direction::kFromServer});
  const bool many = random->Percent(50);
  for (const std::string& place : places) {
    const bool joins = random->Percent(60) && place != incident.places[0];
    if (incident.kind == Incident::Kind::kPartition && many && joins) incident.places.push_back(place);
  }
  incident.duration_ms = random->Between(50, 1000);
  // From a leap of seconds to a machine that wakes days later.
  const int64_t farther = random->OneOf({1, 100, 1'000'000});
  if (incident.kind == Incident::Kind::kClockJumps) incident.duration_ms *= farther;
  incident.seed = random->Next();
  return incident;
}

Faults DrawFaults(const std::vector<std::string>& places, Random* random) {
  Faults faults;
  faults.network.lost = random->OneOf({0, 2, 10, 25});
  faults.network.doubled = random->OneOf({0, 5, 25});
  faults.network.late = random->OneOf({0, 10, 60});
  faults.network.max_delay_ms = random->OneOf({10, 60, 200});
  const int interruptions = random->OneOf({0, 15, 40});
  const int mean_pause_ms = random->OneOf({25, 80, 300});
  faults.end_ms = random->Between(100, 1200);
  int64_t at_ms = random->Between(1, 2 * mean_pause_ms);
  for (; at_ms < faults.end_ms; at_ms += random->Between(1, 2 * mean_pause_ms)) {
    faults.incidents.push_back(DrawIncident(places, at_ms, random));
    if (random->Percent(interruptions)) faults.incidents.back().kind = Incident::Kind::kWriteInterrupted;
  }
  return faults;
}

}  // namespace

bool JobScenario::has_groups() const {
  return std::any_of(ranks.begin(), ranks.end(), [](const std::vector<int>& own) { return own.size() > 1; });
}

bool JobScenario::has_stages() const {
  return std::any_of(layers.begin(), layers.end(), [this](const std::vector<int>& own) { return own != layers[0]; });
}

std::vector<std::vector<int>> JobScenario::Owned() const {
  const job::LayerTable table(spec);
  std::vector<std::vector<int>> owned;
  for (const std::vector<int>& own : layers) {
    std::vector<int>& rows = owned.emplace_back();
    for (const int layer : own) {
      const int first = table.Find(spec.layers(layer).name());
      for (int stream = 0; stream < table[first].streams; ++stream) rows.push_back(first + stream);
    }
  }
  return owned;
}

const char* NameOf(Incident::Kind kind) {
  using Kind = Incident::Kind;
  switch (kind) {
    case Kind::kWorkerCrashes:
      return "worker-crashes";
    case Kind::kWorkerLeaves:
      return "worker-leaves";
    case Kind::kWorkerHangs:
      return "worker-hangs";
    case Kind::kWorkerSlows:
      return "worker-slows";
    case Kind::kWorkerGivenUp:
      return "worker-given-up";
    case Kind::kPartition:
      return "partition";
    case Kind::kServerCrashes:
      return "server-crashes";
    case Kind::kServerStops:
      return "server-stops";
    case Kind::kWriteInterrupted:
      return "write-interrupted";
    case Kind::kClockJumps:
      return "clock-jumps";
    case Kind::kClockStands:
      return "clock-stands";
    case Kind::kTrainingRestarts:
      return "training-restarts";
  }
  return "";
}

std::string PlaceName(const JobScenario& job, int contributor) {
  return absl::StrCat(job.spec.name(), "/", contributor);
}

Scenario DrawScenario(Random* random) {
  Scenario scenario;
  scenario.jobs.push_back(DrawJob("job", random));
  if (random->Percent(25)) scenario.jobs.push_back(DrawJob("other", random));
  std::vector<std::string> places;
  for (const JobScenario& job : scenario.jobs) {
    for (int i = 0; i < job.spec.contributors(); ++i) places.push_back(PlaceName(job, i));
  }
  scenario.job_expiry_ms = random->OneOf({0, 0, 0, 200, 1000});
  scenario.faults = DrawFaults(places, random);
  return scenario;
}

}  // namespace evenkeel::core::simulation
