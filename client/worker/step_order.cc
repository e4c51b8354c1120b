#include "client/worker/step_order.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace evenkeel::client {
namespace {

absl::string_view NameOf(Counting counting) {
  switch (counting) {
    case Counting::kTrain:
      return "kTrain";
    case Counting::kEvaluate:
      return "kEvaluate";
    case Counting::kDryRun:
      return "kDryRun";
    case Counting::kReplay:
      return "kReplay";
  }
  return "";
}

}  // namespace

absl::Status StepOrder::CheckBegin(uint64_t step) const {
  if (place_ == Place::kBetweenSteps && step == step_ && !evaluates()) return absl::OkStatus();
  return Refuse(absl::StrCat("BeginStep(", step, ")"));
}

absl::Status StepOrder::CheckCounting(absl::string_view call) const {
  if (place_ == Place::kInStep || evaluates()) return absl::OkStatus();
  return Refuse(call);
}

absl::Status StepOrder::CheckCommit(uint64_t step) const {
  if (place_ == Place::kInStep && step == step_ && !evaluates() && !capturing_) return absl::OkStatus();
  return Refuse(absl::StrCat("Commit(", step, ")"));
}

absl::Status StepOrder::CheckSetCounting(Counting counting) const {
  if (place_ != Place::kInStep || counting == Counting::kEvaluate || counting == kind_) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("SetCounting(", NameOf(counting), "): step ", step_, " began with ",
                                                    NameOf(kind_), "; until its Commit, kEvaluate and ", NameOf(kind_),
                                                    " are allowed"));
}

absl::Status StepOrder::CheckBeginCapture() const {
  if (place_ == Place::kInStep && !capturing_) return absl::OkStatus();
  return Refuse("BeginCapture");
}

absl::Status StepOrder::CheckEndCapture() const {
  if (capturing_ && place_ == Place::kInStep) return absl::OkStatus();
  return absl::FailedPreconditionError("EndCapture: BeginCapture comes first");
}

absl::Status StepOrder::CheckSave() const {
  if (place_ != Place::kInStep) return absl::OkStatus();
  return Refuse("SaveState");
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
  if (place_ == Place::kInStep && capturing_) {
    reason = "EndCapture comes first";
  } else if (place_ != Place::kLeft && evaluates()) {
    reason = "the worker evaluates; SetCounting(kTrain), or what it was before, comes first";
  }
  return absl::FailedPreconditionError(absl::StrCat(call, ": ", reason));
}

}  // namespace evenkeel::client
