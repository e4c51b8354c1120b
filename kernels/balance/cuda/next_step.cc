#include "kernels/balance/cuda/next_step.h"

#include "absl/strings/str_cat.h"

namespace evenkeel::balance {
namespace {

absl::Status Missing(const char* field) {
  return absl::InvalidArgumentError(absl::StrCat("NextStep.", field, " is null; it must be the device's memory"));
}

}  // namespace

absl::Status ValidateNextStep(const NextStep& next) {
  if (next.num_layers < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("NextStep.num_layers is ", next.num_layers, "; it must not be negative"));
  }
  if (next.num_layers == 0) return absl::OkStatus();
  if (next.skips == nullptr) return Missing("skips");
  if (next.replays == nullptr) return Missing("replays");
  if (next.tables == nullptr) return Missing("tables");
  if (next.place == nullptr) return Missing("place");
  if (next.step == nullptr) return Missing("step");
  if (next.rates == nullptr) return Missing("rates");
  return absl::OkStatus();
}

}  // namespace evenkeel::balance
