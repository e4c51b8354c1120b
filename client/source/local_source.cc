#include "client/source/local_source.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "client/source/rank_checks.h"
#include "job/initial_bias.h"
#include "job/same_shape.h"

namespace evenkeel::client {

absl::StatusOr<std::unique_ptr<LocalSource>> LocalSource::Make(const v1::JobSpec& spec,
                                                               absl::Span<const float> initial_bias,
                                                               std::vector<int> ranks) {
  EVENKEEL_ASSIGN_OR_RETURN(job::JobPlan plan, job::PlanJob(spec, v1::BalanceConfig(), job::NoLimits()));
  job::JobState state = job::InitialJobState(plan);
  EVENKEEL_RETURN_IF_ERROR(job::SetInitialBias(plan, initial_bias, &state));
  return absl::WrapUnique(new LocalSource(std::move(plan), std::move(state), std::move(ranks)));
}

LocalSource::LocalSource(job::JobPlan plan, job::JobState state, std::vector<int> ranks)
    : job_(std::move(plan), std::move(state)), ranks_(std::move(ranks)) {
  Remember(job_.Version());
}

void LocalSource::Remember(const v1::CommittedVersion& version) {
  routing_.push_back(BiasChecksum(version.bias()));
  if (static_cast<int>(routing_.size()) > 1 + job_.plan().effective.lag()) routing_.pop_front();
}

absl::Status LocalSource::Advance(StepCounts* counts) {
  EVENKEEL_RETURN_IF_ERROR(counts->Arrive());
  EVENKEEL_RETURN_IF_ERROR(CheckBias(*counts, routing_.front(), ranks_));
  if (lags()) previous_ = job_.state();
  EVENKEEL_RETURN_IF_ERROR(job_.Advance(*counts));
  made_.push_back(job_.Version());
  Remember(made_.back());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LocalSource>> LocalSource::MakeFrom(const v1::JobSpec& spec,
                                                                   const job::SnapshotStates& checkpoint,
                                                                   std::vector<int> ranks) {
  EVENKEEL_ASSIGN_OR_RETURN(job::JobPlan plan, job::PlanJob(spec, v1::BalanceConfig(), job::NoLimits()));
  const v1::JobState& state = checkpoint.state;
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan theirs, job::PlanStoredJob(state.spec(), state.fingerprint()));
  const absl::Status shape = job::CheckSameShape(plan, theirs);
  if (!shape.ok()) return absl::InvalidArgumentError(absl::StrCat("state: ", shape.message()));
  EVENKEEL_ASSIGN_OR_RETURN(job::JobState newest, job::FromProto(theirs, state));
  std::optional<job::JobState> previous;
  const std::vector<v1::JobState>& earlier = checkpoint.earlier;
  if (plan.effective.lag() == 1 && !earlier.empty() && earlier.back().version().step() + 1 == newest.version.step()) {
    EVENKEEL_ASSIGN_OR_RETURN(previous, job::FromProto(theirs, earlier.back()));
  }
  auto source = absl::WrapUnique(new LocalSource(std::move(plan), std::move(newest), std::move(ranks)));
  if (previous.has_value())
    source->routing_.push_front(BiasChecksum(job::CommittedVersionOf(source->job_.plan(), *previous)->bias()));
  source->began_after_ = state.version().step();
  source->first_version_ = source->began_after_ - previous.has_value();
  source->previous_ = std::move(previous);
  return source;
}

absl::Status LocalSource::Join(uint64_t next_step, Deadline, v1::JoinResponse* joined) {
  if (next_step != began_after_ + 1) {
    const std::string why = began_after_ == 0
                                ? absl::StrCat("without a coordinator nobody has kept the bias of step ", next_step - 1,
                                               "; begin at step 1, bring the state of the checkpoint, or use a "
                                               "coordinator")
                                : absl::StrCat("the state is that after step ", began_after_);
    return absl::FailedPreconditionError(absl::StrCat("next_step is ", next_step, ", and ", why));
  }
  *joined->mutable_version() = job_.Version();
  if (previous_.has_value()) {
    *joined->mutable_previous() = *job::CommittedVersionOf(job_.plan(), *previous_);
    made_.push_back(joined->version());
  }
  joined->set_epoch(joined->version().version().epoch());
  joined->set_open_step(next_step);
  *joined->mutable_effective() = job_.plan().effective;
  return absl::OkStatus();
}

void LocalSource::Push(StepCountsPtr counts) {
  if (outcome_.ok()) outcome_ = Advance(counts.get());
}

absl::StatusOr<bool> LocalSource::Await(uint64_t step, Deadline, v1::CommittedVersion* version) {
  EVENKEEL_RETURN_IF_ERROR(outcome_);
  if (made_.empty() || made_.front().version().step() > DueVersion(step, job_.plan().effective.lag(), first_version_)) {
    return false;
  }
  version->Swap(&made_.front());
  made_.pop_front();
  return true;
}

absl::StatusOr<bool> LocalSource::Leave(Deadline, v1::CommittedVersion* version) {
  EVENKEEL_RETURN_IF_ERROR(outcome_);
  if (made_.empty()) return false;
  version->Swap(&made_.back());
  made_.clear();
  return true;
}

absl::StatusOr<v1::Snapshot> LocalSource::Save(uint64_t step, Deadline) {
  EVENKEEL_RETURN_IF_ERROR(outcome_);
  EVENKEEL_CHECK(job_.state().version.step() == step);
  std::vector<v1::JobState> earlier;
  if (previous_.has_value()) earlier.push_back(ToProto(job_.plan(), *previous_));
  return job::MakeSnapshot(ToProto(job_.plan(), job_.state()), earlier);
}

}  // namespace evenkeel::client
