#pragma once

#include "absl/strings/string_view.h"

namespace evenkeel::balance {

// Why a layer's bias moved or stayed at a commit. Where several hold, the first of: skipped, halted,
// replayed, observed, frozen, warm-up, rate zero, no tokens, below min_tokens. What somebody chose comes before what
// the data did.
enum class UpdateReason {
  kNever,           // no commit yet
  kMoved,           // the rule ran (a balanced layer may move by zero)
  kWarmUp,          // position <= warmup_steps; the counts are dropped
  kNoTokens,        // the step had no valid token, or none of its tokens was assigned
  kBelowMinTokens,  // the counts are kept until there are min_tokens
  kRateZero,        // the rate, after its schedule and as float32, is 0; the counts are dropped
  kFrozen,          // by the job's mode or by the config; the counts are dropped
  kObserved,        // by the job's mode; the counts are dropped
  kSkipped,         // the step was committed with ok = false; the counts are dropped
  kReplayed,        // the step's tokens were routed elsewhere; the counts are dropped
  kHalted,          // an invariant of the job was violated, and its policy stops it; the counts are dropped
};

// "never", "moved", "warm up", "no tokens", "below min tokens", "rate zero", "frozen", "observed", "skipped",
// "replayed", "halted".
absl::string_view ReasonName(UpdateReason reason);

}  // namespace evenkeel::balance
