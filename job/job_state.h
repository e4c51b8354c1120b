#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/job_plan.h"
#include "job/step_sums.h"
#include "kernels/balance/layer_state.h"
#include "kernels/balance/rule.h"
#include "kernels/balance/update_reason.h"

namespace evenkeel::job {

// The balancing state of a job after its last commit, as plain arrays; v1::JobState is its stored form.
struct JobState {
  struct Layer {
    balance::LayerState balance;
    // Of the last commit, whatever became of them.
    std::vector<uint64_t> last_counts;
    uint64_t last_tokens = 0;
    // Of all commits.
    uint64_t total_tokens = 0;
    // Whose error the EMA is of: that of the last commit.
    balance::Rule rule = balance::Rule::kProportional;
    // Of last_counts, what a capacity limit left; empty where the layer does not tell.
    std::vector<uint64_t> last_dispatched = {};
  };

  v1::Version version;
  // Steps committed with ok = true.
  uint64_t position = 0;
  // Of each row.
  std::vector<Layer> layers;
  bool ok = true;
  // Contributors of the last commit, ascending.
  std::vector<int> participants;
  // Of the last commit, as in v1::CommitRecord.
  uint64_t staleness = 0;
  std::vector<v1::Version> stale_versions;
  // Of the bias that the job began with, as StateHash; 0 where it began with 0.
  uint64_t initial_bias_hash = 0;
  // Absent where updates go on.
  std::optional<v1::Halt> halt;
  // Of the last commit, and what was found since.
  std::vector<v1::Violation> violations;
};

// A job that no step has touched: bias 0, version {epoch 1, step 0}.
JobState InitialJobState(const JobPlan& plan);

// What a commit is told beyond the counts; the state records it.
struct CommitInputs {
  v1::Version version;
  bool ok = true;
  // Some contributor's tokens were routed elsewhere. Not recorded but for the reason that the layers have.
  bool replayed = false;
  std::vector<int> participants;
  uint64_t staleness = 0;
  std::vector<v1::Version> stale_versions;
  std::vector<v1::Violation> violations;
};

// Why a step moves no layer, whatever it counted: it was not taken, and the job's policy drops what such a step
// counted; or the job of that state is halted; or it was replayed. Absent where each layer's rule decides.
std::optional<balance::UpdateReason> WhyUnmoved(const JobPlan& plan, const CommitInputs& inputs, const JobState& state);

// Where the job's policy says so, and there are violations, halts it from `step` on, unless it is.
void HaltFor(const JobPlan& plan, absl::Span<const v1::Violation> violations, uint64_t step, JobState* state);

// The one event that moves the bias: applies the rule of every row to the summed counts of a step. Pure; the same
// inputs give the same bits everywhere. A step that was taken and moves nothing advances the position all the same.
// `plan` may be balanced otherwise than it was at the commit before; a layer whose rule is another since then begins
// its EMA anew, whether or not the step moves it, for what the EMA held was the error of the other rule.
void CommitStep(const JobPlan& plan, const CommitInputs& inputs, const StepSums& sums, JobState* state);

// The two halves of CommitStep, for a step that moves the bias together with steps before it: what the rule makes of
// sums, and what is recorded of the step and its own.
void MoveLayers(const JobPlan& plan, const CommitInputs& inputs, const StepSums& sums, JobState* state);
void RecordStep(const JobPlan& plan, const CommitInputs& inputs, const StepSums& sums, JobState* state);

// The reply to the state's last step: a function of plan and state alone, so that it is the same after a restart.
std::shared_ptr<const v1::CommittedVersion> CommittedVersionOf(const JobPlan& plan, const JobState& state);

// XXH3-64 over the hashes of all layers' biases, as in v1::CommittedVersion::state_hash.
uint64_t StateHash(const JobState& state);

v1::JobState ToProto(const JobPlan& plan, const JobState& state);

// `plan` is that of the state's own spec. DATA_LOSS, naming the layer, when the arrays do not fit it.
absl::StatusOr<JobState> FromProto(const JobPlan& plan, const v1::JobState& message);

}  // namespace evenkeel::job
