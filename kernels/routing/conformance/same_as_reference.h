#pragma once

#include <random>
#include <string>

#include "kernels/routing/conformance/placed_problem.h"
#include "kernels/routing/conformance/router_testing.h"

// Routers held to the reference bit for bit, in the caller's memory.
namespace evenkeel::routing {

// Routes with both, on the same inputs, and expects the same in every output.
void ExpectSameAsReference(RouteFunction route, const Problem& problem, const Layout& layout);

// Whatever a caller may ask for, all at once: any spec, up to 1,100 experts, rows and bias of any kind; replay, forced
// balance and a mask each now and then; any layout.
struct RandomCase {
  Problem problem;
  Layout layout;
};
RandomCase MakeRandomCase(std::mt19937& random);
std::string Describe(const RandomCase& any);

}  // namespace evenkeel::routing
