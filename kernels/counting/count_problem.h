#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "kernels/counting/count.h"

// Random calls for the tests of whoever counts. The same seed gives the same call.
namespace evenkeel::counting {

// Shapes at and around what kernels part at, up to kMaxExperts and to top_k = num_experts; rows that can be counted and
// rows that cannot, each for one reason; gaps that look like ids; with a mask and without.
struct IdsProblem {
  int num_experts;
  int top_k;
  routing::IdType id_type;
  int64_t rows;
  int64_t stride;
  std::vector<uint8_t> ids;   // [rows, stride] of id_type, up to the last slot
  std::vector<uint8_t> mask;  // [rows]; empty: none

  // Whose addresses are this problem's.
  IdsInput Input() const;
  std::string Describe() const;
};

IdsProblem RandomIds(uint64_t seed);

// Rows that can be counted, in memory without gaps, with a slot in twenty short.
IdsProblem RandomIdsOf(int num_experts, int top_k, int64_t rows, routing::IdType id_type, uint64_t seed);

// Small counts, and counts up to their limits, in half of the calls with something wrong: a count that is none, which a
// second one makes good in the sum; or a sum that differs, which a quarter of the calls do not mind.
struct CountsProblem {
  int num_experts;
  int top_k;
  CountType type;
  std::vector<uint8_t> counts;  // [num_experts] of type
  uint64_t valid_rows;
  uint64_t short_slots;
  bool any_sum = false;

  CountsInput Input() const;
  std::string Describe() const;
};

CountsProblem RandomCounts(uint64_t seed);

// What is counted, from zeros.
struct Counted {
  std::vector<uint64_t> counts;
  routing::RouteStats stats;
  uint64_t refused = 0;

  explicit Counted(int num_experts) : counts(num_experts) {}
  CountOutput Output() { return {counts.data(), &stats, &refused}; }
};

bool operator==(const Counted& a, const Counted& b);
std::ostream& operator<<(std::ostream& out, const Counted& counted);

// By the reference.
Counted Count(const IdsProblem& problem);
Counted Count(const CountsProblem& problem);

}  // namespace evenkeel::counting
