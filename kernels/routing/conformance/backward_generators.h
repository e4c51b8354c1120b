#pragma once

#include <random>
#include <vector>

#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/route_spec.h"

// Problems for backward passes that are held against each other.
namespace evenkeel::routing {

// The logits' rows with distinct experts that need not be the best, short slots among them and all out of range in some
// rows; gradients of any size, in some problems infinite and NaN, by weights, dense, or both.
BackwardProblem RandomBackwardProblem(std::mt19937& random, const RouteSpec& spec, const std::vector<float>& logits);

}  // namespace evenkeel::routing
