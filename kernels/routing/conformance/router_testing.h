#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kernels/routing/route.h"

// What the tests of a router share. routers_under_test.h has the routers, router_generators.h random problems.
namespace evenkeel::routing {

// A router: what RouteReference is.
using RouteFunction = absl::Status (*)(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                                       RouteStats* stats);

// Rows to route, in plain vectors without gaps.
struct Problem {
  RouteSpec spec;
  std::vector<float> logits;    // [T, E]
  std::vector<float> bias;      // [E] or empty
  std::vector<uint8_t> valid;   // [T] or empty
  std::vector<int32_t> replay;  // [T, K] or empty
  ForcedBalance forced;

  int64_t rows() const { return static_cast<int64_t>(logits.size()) / spec.num_experts; }
  std::vector<float> row(int64_t t) const;
};

struct Routed {
  int top_k = 0;
  std::vector<int32_t> ids;          // [T, K]
  std::vector<float> weights;        // [T, K]
  std::vector<float> probabilities;  // [T, E]
  std::vector<uint8_t> map;          // [T, E]
  std::vector<uint64_t> counts;      // [E]
  RouteStats stats;

  std::vector<int32_t> row_ids(int64_t t) const;
  std::vector<float> row_weights(int64_t t) const;
};

// The input that `problem` describes. It points into `problem`.
RouteInput InputOf(const Problem& problem);

// Routes with every output wanted and filled with poison before. Checks what holds of any result: ids distinct and in
// range, short slots and masked rows as promised, dense outputs and counts in step with ids and weights,
// sum(counts) = K * valid - short.
Routed RouteAndCheck(RouteFunction route, const Problem& problem);

// The spec in a line, for the message of a failed test.
std::string Describe(const RouteSpec& spec);

// Routers of well-known model families.
struct Family {
  std::string name;
  RouteSpec spec;
};
std::vector<Family> Families();
std::ostream& operator<<(std::ostream& out, const Family& family);

}  // namespace evenkeel::routing
