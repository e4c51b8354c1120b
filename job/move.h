#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "evenkeel/v1/job.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/step_sums.h"

// Steps that were routed with an old version all show the imbalance that the newer ones have already acted on. Each on
// its own would act on it again, and wind the bias up for as long as nobody hears of it. So all steps that were routed
// with one stale version move the bias once, by their sum, from where it was before the first of them.
namespace evenkeel::job {

// The steps that have led to a state together: those from the last that did not join the ones before it.
struct Move {
  // What routed them; epoch 0 before the first step that moved anything.
  v1::Version routed_with;
  // The state before the first of them.
  std::shared_ptr<const JobState> base;
  // Over those of them that count.
  StepSums sums;
};

// Of a job that no step has touched.
Move InitialMove(const JobPlan& plan, const JobState& initial);

// The step of the version that is due for `step`: the newest that is valid by then. `first`: the job's first version.
uint64_t DueStep(const JobPlan& plan, uint64_t step, uint64_t first);

// Commits a step as CommitStep does, but for the move: when the step is `stale`, routed with an older version than the
// one due, and that version also routed `move`, it joins `move`, and bias, EMA and pending counts are those that one
// step with the counts of all of them would have made from move->base. Else it is a move of its own. A step that moves
// nothing, whatever it counted (WhyUnmoved: it was dropped, or replayed, or the job is halted), leaves `move` as it is:
// a later one that was routed with the same version joins the steps before it. Whatever else is recorded of the step is
// its own. A move is made anew by every step that joins it, all of it with the balancing that `plan` has for that step.
// Pure.
//   `routed_with`  the oldest that routed any of the counts
//   `sums`         with move->sums and what move->base has pending, of at most balance::kMaxCountSum at each layer
void CommitRoutedStep(const JobPlan& plan, const CommitInputs& inputs, const v1::Version& routed_with, bool stale,
                      const StepSums& sums, JobState* state, Move* move);

// The stored form of `move`, which led to `state` and has a version that routed it.
v1::Move ToProto(const JobPlan& plan, const JobState& state, const Move& move);

// The move that led to `state`; `base` is the state of message.base_step. DATA_LOSS when the message does not fit.
absl::StatusOr<Move> MoveFromProto(const JobPlan& plan, const JobState& state, const v1::Move& message,
                                   std::shared_ptr<const JobState> base);

}  // namespace evenkeel::job
