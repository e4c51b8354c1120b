#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/routing/route.h"

namespace evenkeel::benchmarks {

// One router on batches of several sizes.
struct RouteSeries {
  std::string router;  // "sigmoid", "sigmoid_groups" or "softmax": see route_benchmark.cc
  routing::RouteSpec spec;
  routing::DType dtype;
  std::vector<int64_t> rows;
};

// Routing forwards, the most important first: 64 to 512 experts by sigmoid scores with and without groups and 128 by
// softmax, 8 of them chosen, with logits of float32 and bfloat16, and 1 to 131,072 rows. Quick: a handful.
std::vector<RouteSeries> ForwardSeries(bool quick);

// Backwards.
std::vector<RouteSeries> BackwardSeries(bool quick);

// The microseconds that a warm call in a graph is to stay under on an H200; none where no bar was set.
std::optional<double> BarMicroseconds(const RouteSeries& series, int64_t rows);

int64_t ElementBytes(routing::DType dtype);

// What must be moved. Forwards: logits read, int32 ids and float32 weights written.
int64_t ForwardBytes(const RouteSeries& series, int64_t rows);
// Backwards: the gradient of the logits written, of their type, and int32 ids, float32 gradients of the weights and the
// chosen experts' logits read.
int64_t BackwardBytes(const RouteSeries& series, int64_t rows);

// "f32", "bf16" or "f16".
std::string DTypeName(routing::DType dtype);

}  // namespace evenkeel::benchmarks
