#pragma once

#include "absl/status/statusor.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::config {

// The spec with defaults for absent fields, validated (routing::Validate). INVALID_ARGUMENT, naming field and value,
// for a missing num_experts or top_k, an unknown enum value, or a value out of range.
absl::StatusOr<routing::RouteSpec> RouteSpecFromProto(const v1::RouteSpec& message);

// The inverse: num_experts, top_k, score and weight, the fields of the groups where there are any, and of the others
// those that are not at their defaults. The spec must be valid.
v1::RouteSpec RouteSpecToProto(const routing::RouteSpec& spec);

}  // namespace evenkeel::config
