#pragma once

#include <cstdint>

#include "evenkeel/options.h"
#include "kernels/counting/count.h"
#include "kernels/routing/route.h"
#include "kernels/routing/route_backward.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::client {

// What the public calls take, as the kernels take it. Strides of 0 are those of rows without a gap.

routing::DType DTypeOf(FloatType type);
routing::IdType IdTypeOf(IntType type);

routing::RouteInput InputOf(const routing::RouteSpec& spec, const Tokens& tokens, const float* bias);
routing::RouteOutput OutputOf(const routing::RouteSpec& spec, const Assignments& assignments, uint64_t* counts);
routing::RouteBackwardInput BackwardInputOf(const routing::RouteSpec& spec, const Tokens& tokens,
                                            const Gradients& gradients);
routing::RouteBackwardOutput BackwardOutputOf(const routing::RouteSpec& spec, const Gradients& gradients);

counting::IdsInput IdsInputOf(int num_experts, int top_k, const Ids& ids);
counting::CountsInput CountsInputOf(int num_experts, int top_k, const Counts& counts);

}  // namespace evenkeel::client
