#pragma once

#include <cstdint>
#include <vector>

#include "kernels/routing/route_spec.h"

// The gradient of route_backward.h once more, for tests: in double, from a forward pass by another hand, and not by the
// formulas of the contract. One row.
namespace evenkeel::routing {

// The loss is sum(d_weights[s] * weights[s]) + sum(d_probabilities[e] * dense_probabilities[e]).
struct NaiveLoss {
  RouteSpec spec;
  std::vector<int32_t> ids;             // [K]; -1 in a short slot
  std::vector<double> d_weights;        // [K]
  std::vector<double> d_probabilities;  // [E]

  // Of a row of logits, [E].
  double Of(const std::vector<double>& logits) const;
};

// By central differences: good to about 1e-9 of the loss. 0 for a logit that is not finite.
std::vector<double> GradientByDifferences(const NaiveLoss& loss, const std::vector<double>& logits);

// By dual numbers, which carry a derivative along with every value: good to the rounding of double. 0 for a logit that
// is not finite.
std::vector<double> GradientByDuals(const NaiveLoss& loss, const std::vector<double>& logits);

// What the rounding errors of a float32 pass are in proportion to: the sum of the absolute values of the terms of which
// each element of the gradient is made, times what a sum of mixed signs does to the normaliser.
std::vector<double> GradientScale(const NaiveLoss& loss, const std::vector<double>& logits);

}  // namespace evenkeel::routing
