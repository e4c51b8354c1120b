#pragma once

#include "absl/status/statusor.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::config {

// The spec with defaults for absent fields, validated (routing::Validate). INVALID_ARGUMENT, naming field and value,
// for a missing num_experts or top_k, an unknown enum value, or a value out of range.
absl::StatusOr<routing::RouteSpec> RouteSpecFromProto(const v1::RouteSpec& message);

}  // namespace evenkeel::config
