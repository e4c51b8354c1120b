#include "client/source/local_source.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "job/initial_bias.h"

namespace evenkeel::client {

absl::StatusOr<std::unique_ptr<LocalSource>> LocalSource::Make(const v1::JobSpec& spec,
                                                               absl::Span<const float> initial_bias) {
  EVENKEEL_ASSIGN_OR_RETURN(job::JobPlan plan, job::PlanJob(spec, v1::BalanceConfig(), job::NoLimits()));
  job::JobState state = job::InitialJobState(plan);
  EVENKEEL_RETURN_IF_ERROR(job::SetInitialBias(plan, initial_bias, &state));
  return absl::WrapUnique(new LocalSource(std::move(plan), std::move(state)));
}

absl::Status LocalSource::Join(uint64_t next_step, Deadline, v1::JoinResponse* joined) {
  if (next_step != 1) {
    return absl::FailedPreconditionError(absl::StrCat("next_step is ", next_step,
                                                      ", and without a coordinator nobody has kept the bias of step ",
                                                      next_step - 1, "; begin at step 1, or use a coordinator"));
  }
  *joined->mutable_version() = job_.Version();
  joined->set_epoch(joined->version().version().epoch());
  joined->set_open_step(next_step);
  *joined->mutable_effective() = job_.plan().effective;
  return absl::OkStatus();
}

void LocalSource::Push(StepCountsPtr counts) {
  if (outcome_.ok()) outcome_ = counts->Arrive();
  if (outcome_.ok()) outcome_ = job_.Advance(*counts);
  if (outcome_.ok()) made_.push_back(job_.Version());
}

absl::StatusOr<bool> LocalSource::Await(uint64_t step, Deadline, v1::CommittedVersion* version) {
  EVENKEEL_RETURN_IF_ERROR(outcome_);
  if (made_.empty() || made_.front().version().step() > DueVersion(step, job_.plan().effective.lag(), /*first=*/0)) {
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

}  // namespace evenkeel::client
