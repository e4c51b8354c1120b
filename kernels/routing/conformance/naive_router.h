#pragma once

#include <cstdint>
#include <vector>

#include "kernels/routing/route_spec.h"

// The routing contract once more, for tests: in double, by full stable sorts, by another hand than the reference.
namespace evenkeel::routing {

enum class Precision {
  kDouble,  // scores by the C library in double; nothing is rounded to float
  kFloat,   // the scores of arithmetic.h, and sums rounded to float: ids then agree on every row, ties or not
};

struct NaiveIds {
  std::vector<int32_t> ids;  // [K]
  // How far the nearest decision was from going the other way, relative to the values compared. A router in float32
  // can only be held to ids that kDouble decides by more than the rounding errors.
  double margin;
};

// `bias` may be empty.
NaiveIds NaiveSelect(const RouteSpec& spec, const std::vector<float>& logits, const std::vector<float>& bias,
                     Precision precision);

struct NaiveWeights {
  std::vector<double> weights;  // [K], of the given ids
  // How many times a relative error of the gathered values may be amplified (1, but where a sum cancels).
  double condition;
};

NaiveWeights NaiveWeigh(const RouteSpec& spec, const std::vector<float>& logits, const std::vector<int32_t>& ids);

}  // namespace evenkeel::routing
