#pragma once

#include "absl/status/status.h"

namespace evenkeel::client {

// What a failed call asks of its caller.
enum class Verdict {
  kRetry,      // the same again: the coordinator was not reached, is stopping, did not answer in time, or is stale
  kJoinAgain,  // the coordinator does not know this incarnation or its epoch: join, then the same again
  kFinal,      // it will not get better: the caller's to hear
};

// Judges an error of the service by its ErrorDetail, or, where it carries none (it is the transport's then), by its
// code; bias_coordinator.proto has the table.
Verdict Judge(const absl::Status& error);

}  // namespace evenkeel::client
