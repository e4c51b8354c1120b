#pragma once

#include "absl/status/status.h"
#include "kernels/counting/count.h"

namespace evenkeel::counting {

// The contract of count.h in plain scalar code, on memory of the host: what a GPU is held against. Answers what
// ValidateCount answers.
//
// Thread safety: calls may run at the same time if they share no output.
absl::Status ReferenceCountIds(const IdsInput& input, const CountOutput& output);
absl::Status ReferenceAddCounts(const CountsInput& input, const CountOutput& output);

}  // namespace evenkeel::counting
