#include "kernels/balance/update_reason.h"

namespace evenkeel::balance {

absl::string_view ReasonName(UpdateReason reason) {
  switch (reason) {
    case UpdateReason::kNever:
      return "never";
    case UpdateReason::kMoved:
      return "moved";
    case UpdateReason::kWarmUp:
      return "warm up";
    case UpdateReason::kNoTokens:
      return "no tokens";
    case UpdateReason::kBelowMinTokens:
      return "below min tokens";
    case UpdateReason::kRateZero:
      return "rate zero";
    case UpdateReason::kFrozen:
      return "frozen";
    case UpdateReason::kObserved:
      return "observed";
    case UpdateReason::kSkipped:
      return "skipped";
    case UpdateReason::kReplayed:
      return "replayed";
    case UpdateReason::kHalted:
      return "halted";
  }
  return "unknown";
}

}  // namespace evenkeel::balance
