#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace evenkeel::load {

// What a run of the load benchmark loads the coordinator with.
struct LoadCase {
  int workers = 1;  // of each job, 1 .. 1,024
  int layers = 1;   // 1 .. 256
  int experts = 8;  // of each layer, 8 .. 1,024
  int jobs = 1;     // at once, 1 .. 64

  static constexpr int kTopK = 8;

  // "64x61x256": workers x layers x experts of each; of several jobs "16 jobs of 64x61x256".
  std::string name() const;
};

// One case of one job from "WORKERSxLAYERSxEXPERTS". INVALID_ARGUMENT, naming what is out of range, or all of `text`.
absl::StatusOr<LoadCase> ParseLoadCase(absl::string_view text);

// Several, separated by commas.
absl::StatusOr<std::vector<LoadCase>> ParseLoadCases(absl::string_view text);

}  // namespace evenkeel::load
