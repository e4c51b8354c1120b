#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "kernels/routing/conformance/guarded_matrix.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/route.h"

// A problem laid out in memory as a caller may lay it out: in any of the dtypes, with gaps between rows, against the
// edge of what is mapped. For routers, which must touch nothing else.
namespace evenkeel::routing {

struct Layout {
  DType logits_dtype = DType::kF32;
  DType weights_dtype = DType::kF32;
  IdType id_type = IdType::kInt32;
  int gaps[5] = {};  // elements between rows: logits, ids and replay, weights, probabilities, map
  GuardedMatrix::Side side = GuardedMatrix::Side::kLast;
  // Which outputs are wanted.
  bool ids = true;
  bool weights = true;
  bool probabilities = true;
  bool map = true;
  bool counts = true;
  bool stats = true;
  bool keep_masked_rows = false;
};
Layout RandomLayout(std::mt19937& random);
std::string Describe(const Layout& layout);

// The inputs, in memory that cannot be written. Logits are rounded to the layout's dtype.
class PlacedInput {
 public:
  PlacedInput(const Problem& problem, const Layout& layout);
  const RouteInput& input() const { return input_; }

 private:
  GuardedMatrix logits_;
  GuardedMatrix bias_;
  GuardedMatrix valid_;
  GuardedMatrix replay_;
  RouteInput input_;
};

// Every output, poison before a router writes; counts and stats begin above 2^24 and 2^32.
class PlacedOutput {
 public:
  PlacedOutput(const Problem& problem, const Layout& layout);
  const RouteOutput& output() const { return output_; }
  RouteStats* stats() { return want_stats_ ? &stats_ : nullptr; }

  // Checks that the router wrote within rows only, and the same bits as into `expected`: all of them, wanted or not.
  void ExpectSameAs(const PlacedOutput& expected) const;

 private:
  GuardedMatrix ids_;
  GuardedMatrix weights_;
  GuardedMatrix probabilities_;
  GuardedMatrix map_;
  GuardedMatrix counts_;
  RouteOutput output_;
  const bool want_stats_;
  RouteStats stats_{(int64_t{1} << 40) + 1, (int64_t{1} << 24) + 1};
};

}  // namespace evenkeel::routing
