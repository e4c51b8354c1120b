#include "client/worker/step_order.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace evenkeel::client {

absl::Status StepOrder::CheckBegin(uint64_t step) const {
  if (place_ == Place::kBetweenSteps && step == step_) return absl::OkStatus();
  return Refuse(absl::StrCat("BeginStep(", step, ")"));
}

absl::Status StepOrder::CheckCounting(absl::string_view call) const {
  if (place_ == Place::kInStep) return absl::OkStatus();
  return Refuse(call);
}

absl::Status StepOrder::CheckCommit(uint64_t step) const {
  if (place_ == Place::kInStep && step == step_) return absl::OkStatus();
  return Refuse(absl::StrCat("Commit(", step, ")"));
}

absl::Status StepOrder::Refuse(absl::string_view call) const {
  std::string reason;
  switch (place_) {
    case Place::kBetweenSteps:
      reason = absl::StrCat("BeginStep(", step_, ") comes next");
      break;
    case Place::kInStep:
      reason = absl::StrCat("step ", step_, " has begun and is not committed");
      break;
    case Place::kLeft:
      reason = "this worker has left the job";
      break;
  }
  return absl::FailedPreconditionError(absl::StrCat(call, ": ", reason));
}

}  // namespace evenkeel::client
