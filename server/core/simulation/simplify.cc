#include "server/core/simulation/simplify.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <tuple>
#include <utility>

namespace evenkeel::core::simulation {
namespace {

// A way to make one job simpler; a job that is so already stays as it is.
struct JobSimplification {
  const char* name;
  void (*apply)(JobScenario* job);
};

void KeepSteps(uint64_t steps, JobScenario* job) {
  job->steps = std::max<uint64_t>(steps, 1);
  job->diverged.erase(job->diverged.lower_bound({job->steps + 1, 0}), job->diverged.end());
}

void NoGroups(JobScenario* job) {
  for (size_t i = 0; i < job->ranks.size(); ++i) job->ranks[i] = {static_cast<int>(i)};
  job->diverged.clear();
  if (job->spec.world_size() != 0) job->spec.set_world_size(job->spec.contributors());
}

// The last leaves; its layers are counted by the first. What ranks have to do with has to go with it.
void FewerContributors(JobScenario* job) {
  const int last = job->spec.contributors() - 1;
  if (last == 0) return;
  job->spec.set_contributors(last);
  std::vector<int> all;
  std::set_union(job->layers[0].begin(), job->layers[0].end(), job->layers[last].begin(), job->layers[last].end(),
                 std::back_inserter(all));
  job->layers[0] = all;
  job->layers.resize(last);
  job->ranks.resize(last);
  NoGroups(job);
  job->twin_of.clear();
  const bool too_many = job->spec.membership().min_contributors() > last;
  if (too_many) job->spec.mutable_membership()->set_min_contributors(last);
}

void Waits(JobScenario* job) {
  job->spec.clear_missing_policy();
  job->spec.clear_membership();
}

void FewerLayers(JobScenario* job) {
  const int last = job->spec.layers_size() - 1;
  if (last == 0) return;
  job->spec.mutable_layers()->RemoveLast();
  for (std::vector<int>& own : job->layers) {
    own.erase(std::remove(own.begin(), own.end(), last), own.end());
    if (own.empty()) own = {0};
  }
  job->silent_layer = std::min(job->silent_layer, last - 1);
}

void NoStages(JobScenario* job) {
  std::vector<int> all(job->spec.layers_size());
  std::iota(all.begin(), all.end(), 0);
  for (std::vector<int>& own : job->layers) own = all;
}

void FewExperts(JobScenario* job) {
  for (v1::LayerSpec& layer : *job->spec.mutable_layers()) {
    layer.set_num_experts(std::min(layer.num_experts(), 2));
    layer.set_top_k(1);
  }
}

void PlainLayers(JobScenario* job) {
  for (v1::LayerSpec& layer : *job->spec.mutable_layers()) {
    layer.clear_streams();
    layer.clear_counts_dispatched();
  }
}

void PlainBalance(JobScenario* job) {
  job->spec.mutable_balance()->Clear();
  job->spec.mutable_balance()->set_preset("loss_free");
  job->spec.clear_overrides();
}

void PlainPolicies(JobScenario* job) {
  job->spec.clear_mode();
  job->spec.clear_skip_policy();
  job->spec.clear_invariant_policy();
}

void NoViolations(JobScenario* job) {
  job->spec.clear_tokens_per_step();
  job->spec.clear_world_size();
  job->twin_of.clear();
  job->diverged.clear();
  job->silent_layer = -1;
  job->tells_checks = false;
}

constexpr JobSimplification kOfJobs[] = {
    {"half-steps", [](JobScenario* job) { KeepSteps(job->steps / 2, job); }},
    {"fewer-steps", [](JobScenario* job) { KeepSteps(job->steps - 1, job); }},
    {"fewer-contributors", FewerContributors},
    {"fewer-layers", FewerLayers},
    {"few-experts", FewExperts},
    {"plain-layers", PlainLayers},
    {"plain-balance", PlainBalance},
    {"plain-policies", PlainPolicies},
    {"waits", Waits},
    {"no-lag", [](JobScenario* job) { job->spec.clear_lag(); }},
    {"no-stages", NoStages},
    {"no-groups", NoGroups},
    {"no-violations", NoViolations},
    {"no-skips", [](JobScenario* job) { job->one_skip_in = 0; }},
    {"no-replays", [](JobScenario* job) { job->one_replay_in = 0; }},
    {"small-counts", [](JobScenario* job) { job->scale = 1; }},
    {"same-counts", [](JobScenario* job) { job->fresh_counts = false; }},
};

constexpr char kFirstJob[] = "first-job-alone";
constexpr char kSecondJob[] = "second-job-alone";
constexpr char kNoExpiry[] = "no-expiry";
constexpr char kNoIncidents[] = "no-incidents";

// In percent: they are left out altogether.
struct FaultSimplification {
  const char* name;
  int* (*chance)(Faults* faults);
};

constexpr FaultSimplification kOfFaults[] = {
    {"no-losses", [](Faults* faults) { return &faults->network.lost; }},
    {"no-doubles", [](Faults* faults) { return &faults->network.doubled; }},
    {"no-delays", [](Faults* faults) { return &faults->network.late; }},
};

bool Same(const JobScenario& a, const JobScenario& b) {
  const auto key = [](const JobScenario& job) {
    return std::tuple(job.steps, job.fresh_counts, job.one_skip_in, job.one_replay_in, job.scale, job.silent_layer,
                      job.tells_checks);
  };
  return key(a) == key(b) && a.layers == b.layers && a.ranks == b.ranks && a.twin_of == b.twin_of &&
         a.diverged == b.diverged && a.spec.SerializeAsString() == b.spec.SerializeAsString();
}

}  // namespace

std::vector<std::string> Simplifications() {
  std::vector<std::string> names = {kFirstJob, kSecondJob, kNoExpiry, kNoIncidents};
  for (const FaultSimplification& way : kOfFaults) names.push_back(way.name);
  for (const JobSimplification& way : kOfJobs) names.push_back(way.name);
  return names;
}

bool Simplify(absl::string_view name, Scenario* scenario) {
  if ((name == kFirstJob || name == kSecondJob) && scenario->jobs.size() > 1) {
    scenario->jobs = {scenario->jobs[name == kFirstJob ? 0 : 1]};
    return true;
  }
  if (name == kNoExpiry) return std::exchange(scenario->job_expiry_ms, 0) != 0;
  if (name == kNoIncidents) return !std::exchange(scenario->faults.incidents, {}).empty();
  for (const FaultSimplification& way : kOfFaults) {
    if (name == way.name) return std::exchange(*way.chance(&scenario->faults), 0) != 0;
  }
  bool changed = false;
  for (const JobSimplification& way : kOfJobs) {
    if (name != way.name) continue;
    for (JobScenario& job : scenario->jobs) {
      const JobScenario before = job;
      way.apply(&job);
      changed = changed || !Same(before, job);
    }
  }
  return changed;
}

}  // namespace evenkeel::core::simulation
