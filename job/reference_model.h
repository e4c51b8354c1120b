#pragma once

#include <cstdint>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"

namespace evenkeel::job {

// What must come out of a job, whatever happens on the way: contributors whose counts are a pure function of a seed,
// summed and applied step by step with balance::ReferenceUpdate. Knows of no epochs, incarnations or restarts.
class ReferenceModel {
 public:
  struct Options {
    uint64_t seed = 1;
    // The layers of each contributor, ascending.
    std::vector<std::vector<int>> owned;
    // One push in so many says that its optimizer step was not taken; 0: none does.
    uint64_t one_skip_in = 0;
    // Of all tokens and counts, to make them large.
    uint64_t scale = 1;
  };

  // `plan` outlives the model.
  ReferenceModel(const JobPlan* plan, Options options);

  // What `contributor` counted in `step`: ok, valid_tokens, short_slots and routed of a push, the rest left open.
  v1::PushRequest Payload(int contributor, uint64_t step) const;

  // The states after steps 0 to `last_step`. Their versions have no epoch.
  std::vector<JobState> Trajectory(uint64_t last_step) const;

 private:
  // What one contributor counted at one layer.
  struct LayerCounts {
    std::vector<uint64_t> experts;
    uint64_t tokens = 0;
    uint64_t short_slots = 0;
  };

  // Number `index` of the numbers that decide what `contributor` counts at `layer` in `step`.
  uint64_t Draw(int contributor, uint64_t step, int layer, uint64_t index) const;
  bool Ok(int contributor, uint64_t step) const;
  LayerCounts Count(int contributor, uint64_t step, int layer) const;
  void Advance(uint64_t step, JobState* state) const;

  const JobPlan* const plan_;
  const Options options_;
};

}  // namespace evenkeel::job
