#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/step_sums.h"

// What cannot be right about a step though each of its pushes is well-formed. Pure.
namespace evenkeel::core {

// What one contributor says with its push of the ranks that it stands for.
struct RankEvidence {
  std::vector<int> ranks;              // in the order of the join
  std::vector<int> owned;              // rows that they count, ascending
  std::vector<uint64_t> fingerprints;  // of each rank; empty where it does not tell
  std::vector<int> diverged;           // ranks
  bool counts_lost = false;
};

// The evidence of `push`. INVALID_ARGUMENT, naming the field: another number of rank_fingerprints than of `ranks`, or
// diverged_ranks that are not some of them, ascending.
absl::StatusOr<RankEvidence> EvidenceOf(const v1::PushRequest& push, absl::Span<const int> ranks,
                                        const std::vector<int>& owned);

// What is wrong with the step that the job in the state `before` commits next: `ok` and `sums` as CommitStep has them,
// and the evidence of every contributor. By kind, then by layer or first rank.
//   BIAS_DIFFERS     all ranks that diverged, together
//   SAME_TOKENS      each set of ranks, of any contributors, that own the same layers and have one fingerprint
//   TOO_MANY_TOKENS  each layer with more than the job's tokens_per_step
//   SILENT_LAYER     with the step that ends its warm-up, or else the first: a layer that has never counted a token.
//                    Not where a contributor that owns it has lost the counts of this step, or
//                    one is missing
std::vector<v1::Violation> FindViolations(const job::JobPlan& plan, const job::JobState& before, bool ok,
                                          const job::StepSums& sums, const std::vector<RankEvidence>& evidence);

// Of a push that was refused for its counts.
v1::Violation RefusedCounts(const absl::Status& status, int contributor, absl::Span<const int> ranks);

}  // namespace evenkeel::core
