#include "client/source/local_source.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/balance/update.h"

namespace evenkeel::client {

absl::StatusOr<std::unique_ptr<LocalSource>> LocalSource::Make(const v1::JobSpec& spec) {
  EVENKEEL_ASSIGN_OR_RETURN(job::JobPlan plan, job::PlanJob(spec, v1::BalanceConfig(), job::NoLimits()));
  return absl::WrapUnique(new LocalSource(std::move(plan)));
}

LocalSource::LocalSource(job::JobPlan plan)
    : plan_(std::move(plan)), state_(job::InitialJobState(plan_)), sums_(plan_.layers) {}

absl::Status LocalSource::Join(uint64_t next_step, Deadline, v1::JoinResponse* joined) {
  if (next_step != 1) {
    return absl::FailedPreconditionError(absl::StrCat("next_step is ", next_step,
                                                      ", and without a coordinator nobody has kept the bias of step ",
                                                      next_step - 1, "; begin at step 1, or use a coordinator"));
  }
  joined->set_epoch(state_.version.epoch());
  joined->set_open_step(next_step);
  *joined->mutable_effective() = plan_.effective;
  *joined->mutable_version() = *job::CommittedVersionOf(plan_, state_);
  return absl::OkStatus();
}

// What is kept since a layer's last update may not outgrow what an update can hold.
absl::Status LocalSource::CheckSums() const {
  for (int i = 0; i < plan_.layers.size(); ++i) {
    const job::LayerTable::Layer& layer = plan_.layers[i];
    const unsigned __int128 tokens = static_cast<unsigned __int128>(state_.layers[i].balance.tokens) + sums_.tokens[i];
    if (tokens * layer.top_k <= balance::kMaxCountSum) continue;
    return absl::OutOfRangeError(absl::StrCat("layer \"", layer.name, "\": ", sums_.tokens[i],
                                              " more tokens make more than an update can hold (2^48 assignments)"));
  }
  return absl::OkStatus();
}

void LocalSource::Push(StepCounts* counts) {
  sums_.counts.assign(counts->counts().begin(), counts->counts().end());
  sums_.tokens.assign(counts->tokens().begin(), counts->tokens().end());
  outcome_.Update(CheckSums());
  if (!outcome_.ok()) return;
  job::CommitInputs inputs;
  inputs.version.set_epoch(state_.version.epoch());
  inputs.version.set_step(counts->step);
  inputs.ok = counts->skips() == 0;
  inputs.participants = {0};
  job::CommitStep(plan_, inputs, sums_, &state_);
}

absl::Status LocalSource::Await(Deadline, v1::CommittedVersion* version) {
  if (outcome_.ok()) *version = *job::CommittedVersionOf(plan_, state_);
  return outcome_;
}

absl::Status LocalSource::Leave(Deadline) { return absl::OkStatus(); }

}  // namespace evenkeel::client
