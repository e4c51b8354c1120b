#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::benchmarks {

// A router to measure.
struct RouteCase {
  std::string name;
  routing::RouteSpec spec;
};

// 64 to 512 experts, 8 of them chosen: by sigmoid scores with 4 groups of 8 (DeepSeek-V3's router), by sigmoid scores
// without groups, and by logits, weighted by their softmax (Qwen3's and Mixtral's router).
std::vector<RouteCase> ShapeCases();

// The routers of a model: of a name in the table of route_cases.cc, of all there ("all"), or of a config.json, where
// each distinct router is one case. INVALID_ARGUMENT or NOT_FOUND, naming what is known, for what is none of them.
absl::StatusOr<std::vector<RouteCase>> ModelCases(const std::string& model);

}  // namespace evenkeel::benchmarks
