#pragma once

#include <string>
#include <vector>

#include "tools/load_rows.h"

// The fullest and the emptiest experts of a job. Pure functions.
namespace evenkeel::tools {

struct RankedExpert {
  const LoadRow* row;
  int expert;

  float load() const { return row->loads[expert]; }
};

// The `count` experts of `rows` with the largest load, or with the smallest if `cold`, first first; of equal ones, in
// the order of the rows and then of their numbers. Those without a load are left out. They point into `rows`.
std::vector<RankedExpert> TopExperts(const std::vector<LoadRow>& rows, int count, bool cold);

// A table of them; streams are shown where a row is not of stream 0.
std::string ShowTopExperts(const std::vector<RankedExpert>& experts);

// A JSON list of objects: layer, stream, expert, load, tokens, bias.
std::string TopExpertsJson(const std::vector<RankedExpert>& experts);

}  // namespace evenkeel::tools
