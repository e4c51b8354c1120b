#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"

namespace evenkeel::job {

// What must come out of a job, whatever happens on the way: contributors whose counts are a pure function (of a seed,
// where no other is given), summed and applied step by step with balance::ReferenceUpdate, and by what routed them.
// Knows of no epochs, incarnations or restarts.
class ReferenceModel {
 public:
  // How a contributor's counts of one step reached the job.
  struct Delivery {
    // Step of the version that routed them; absent: the one due.
    std::optional<uint64_t> routed_with;
    bool provisional = false;
    bool counts_lost = false;
    // Nothing did: the step was committed without it.
    bool missing = false;
    // Whoever comes back may count other tokens than were counted of the step before: as one of these draws them.
    uint64_t draw = 0;
  };
  // By step and contributor; those that are absent were on time.
  using Deliveries = std::map<std::pair<uint64_t, int>, Delivery>;

  // What one contributor counted at one row.
  struct LayerCounts {
    std::vector<uint64_t> experts;
    uint64_t tokens = 0;
    uint64_t short_slots = 0;
    // [num_experts] at rows that count what a capacity limit left, else empty.
    std::vector<uint64_t> dispatched = {};
  };

  struct Options {
    uint64_t seed = 1;
    // The rows of each contributor, ascending.
    std::vector<std::vector<int>> owned;
    // One push in so many says that its optimizer step was not taken; 0: none does.
    uint64_t one_skip_in = 0;
    // Of all tokens and counts, to make them large.
    uint64_t scale = 1;
    // Where set: what `contributor` counts in `step` at `row`, and whether it took the step, and replayed
    // it, instead.
    std::function<LayerCounts(int contributor, uint64_t step, int row)> count = nullptr;
    std::function<bool(int contributor, uint64_t step)> ok = nullptr;
    // By the first step whose commit each holds for: the same job, balanced otherwise.
    std::map<uint64_t, JobPlan> changes = {};
    std::function<bool(int contributor, uint64_t step)> replayed = nullptr;
    // As one_skip_in: says that its tokens were routed elsewhere.
    uint64_t one_replay_in = 0;
    // The ranks of each contributor, ascending; empty: the rank of its number.
    std::vector<std::vector<int>> ranks = {};
    // What is wrong with the contributors. Contributors that count the very tokens of another, rank by rank; steps and
    // ranks whose bias is another; a layer that nobody counts at (-1: none).
    std::map<int, int> twin_of = {};
    uint64_t twins_from = 1;  // step
    std::set<std::pair<uint64_t, int>> diverged = {};
    int silent_layer = -1;
    // Whether pushes tell fingerprints and ranks that diverged; and whether violations are found, as a coordinator
    // does.
    bool tells_checks = false;
    bool finds_violations = false;
  };

  // `plan` outlives the model.
  ReferenceModel(const JobPlan* plan, Options options);

  // What `contributor` counted in `step`: ok, replayed, valid_tokens, short_slots, routed, dispatched and, where it
  // tells, what it says of its ranks; the rest of the push is left open. `draw`: as in Delivery.
  v1::PushRequest Payload(int contributor, uint64_t step, uint64_t draw = 0) const;

  // The states after steps 0 to `last_step`. Their versions have no epoch, and their violations no message.
  std::vector<JobState> Trajectory(uint64_t last_step, const Deliveries& deliveries = {}) const;

 private:
  // A contributor's part in a step, and how it drew what it counted.
  struct Part {
    int contributor = 0;
    uint64_t step = 0;
    uint64_t draw = 0;
  };
  // What a step was, all contributors together.
  struct Step {
    bool ok = true;
    bool replayed = false;
    bool moves = true;
    bool stale = false;
    // Step of the oldest version that routed counts of it.
    uint64_t routed_with = 0;
    std::vector<LayerCounts> layers;
    std::vector<Part> participants;
    uint64_t staleness = 0;
    std::vector<v1::Version> stale_versions;
    // Layers of contributors that have lost their counts.
    std::set<int> unknown_layers;
    std::vector<v1::Violation> violations;
    bool halted = false;
  };

  // Number `index` of the numbers that decide what is counted at `row`.
  uint64_t Draw(const Part& part, int row, uint64_t index) const;
  bool Ok(const Part& part) const;
  bool Replayed(const Part& part) const;
  LayerCounts Count(Part part, int row) const;
  std::vector<int> RanksOf(int contributor) const;
  uint64_t Due(uint64_t step) const;
  // As the job is balanced at the commit of `step`.
  const JobPlan& PlanAt(uint64_t step) const;
  Step Take(uint64_t step, const Deliveries& deliveries) const;
  // For each of the contributor's ranks a fingerprint of what it counted; 0 where that is nothing.
  std::vector<uint64_t> Fingerprints(const Part& part) const;
  // Fills in what is wrong with a step after `before`, and what that makes of it.
  void Judge(uint64_t step_number, const JobState& before, Step* step) const;
  // The first of the steps that move the bias together with the last: those before it that were routed with the same
  // version, up to one for which that version was not stale. Steps that move nothing are passed over.
  static uint64_t FirstOfMove(const std::vector<Step>& steps);
  // The state that the last of `steps` makes; `states` are those before it. Both by step.
  // A layer whose rule is another than it was when `before` was committed has no EMA.
  void ForgetEma(uint64_t before, uint64_t step, int layer, balance::LayerState* state) const;
  JobState Next(const std::vector<Step>& steps, const std::vector<JobState>& states) const;

  const JobPlan* const plan_;
  const Options options_;
};

// Gives the violations and the halt of `state` the messages of `from`, whose kinds, layers and ranks are not looked at.
void TakeMessages(const v1::JobState& from, JobState* state);

}  // namespace evenkeel::job
