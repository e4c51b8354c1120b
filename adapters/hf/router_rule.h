#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "adapters/hf/config_map.h"
#include "adapters/hf/family.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::hf {

// What the routers of one decoder do, whatever their sizes.
struct RouterRule {
  routing::RouteSpec spec;  // but for num_experts and top_k
  bool has_bias = false;    // of its own
  bool normalize_above_one = false;
  bool per_top_k = false;
  float output_scale = 1;
  bool weights_scale_input = false;
  std::string note;  // about the bias space, or empty
};

// INVALID_ARGUMENT, naming the field, or UNIMPLEMENTED for a soft cap.
absl::StatusOr<RouterRule> ReadRouterRule(const Family& family, const ConfigMap& config);

// The spec of a router of this size; valid, or INVALID_ARGUMENT.
absl::StatusOr<routing::RouteSpec> SpecOfSize(const RouterRule& rule, const ConfigMap& config, int num_experts,
                                              int top_k);

}  // namespace evenkeel::hf
