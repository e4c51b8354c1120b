#pragma once

#include "kernels/routing/route_backward.h"
#include "kernels/routing/route_spec.h"
#include "kernels/routing/warp/route_plan.h"

// A call of a backward pass, and what follows from it for every row, as a warp needs it: plain data, passed to a kernel
// by value. Pointers are the caller's.
namespace evenkeel::routing {

// What a slot's weight was made of, before any scale.
enum class Gathered { kSigmoid, kSqrtSoftplus, kLogit, kSoftmaxOfSelected, kSoftmaxOfAll };

struct BackwardPlan {
  RouteSpec spec;
  RouteBackwardInput input;
  RouteBackwardOutput output;

  Gathered gathered;
  bool scales_weights;  // at the end; if not, what was gathered has been
  int zero_pieces;      // of 16 bytes in a row of d_logits; 0 where rows do not begin and end at multiples of 16 bytes
};

// The arguments are valid, by ValidateRouteBackward, and FitsWarp.
BackwardPlan MakeBackwardPlan(const RouteSpec& spec, const RouteBackwardInput& input,
                              const RouteBackwardOutput& output);

// Registers a lane for a row's logits: WarpRegisters, or 0 where those of the chosen experts are all that is needed.
inline int BackwardRegisters(const BackwardPlan& plan) {
  return plan.gathered == Gathered::kSoftmaxOfAll ? WarpRegisters(plan.spec.num_experts) : 0;
}

}  // namespace evenkeel::routing
