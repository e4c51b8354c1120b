#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "evenkeel/v1/snapshot.pb.h"

// How full the experts of a job were in its last step, for people. Pure functions, thread-safe.
namespace evenkeel::tools {

// One stream of a layer. The vectors have an entry for each expert.
struct LoadRow {
  std::string layer;
  int stream = 0;
  int top_k = 0;
  // Valid tokens of the step, and how many of them each expert had.
  uint64_t tokens = 0;
  std::vector<uint64_t> counts;
  // As LoadsOf.
  std::vector<float> loads;
  std::vector<float> bias;
};

// The load of each expert: its count over its wanted count, which is the mean, or what `target` says as in
// balance::BalanceConfig. NaN where an expert has no wanted count, or nothing was counted.
std::vector<float> LoadsOf(absl::Span<const uint64_t> counts, absl::Span<const float> target = {});

// The rows of a job's state, by name, numbers in it as numbers. Errors of job::PlanStoredJob.
absl::StatusOr<std::vector<LoadRow>> LoadRowsOf(const v1::JobState& state);

}  // namespace evenkeel::tools
