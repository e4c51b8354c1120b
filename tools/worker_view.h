#pragma once

#include <string>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"

// What the workers of a job run on, as commands show it to people. Pure functions.
namespace evenkeel::tools {

// The routing paths of a worker's layers, each with how many have it: "58 layers: grouped; 3 layers: generic".
std::string RoutingText(const v1::WorkerInfo& worker);

// One thing that workers tell, and who tells what: the value of most contributors first.
struct WorkerTrait {
  struct Value {
    std::string text;
    // Ascending.
    std::vector<int> contributors;
  };
  // As in WorkerInfo: "library_version".
  std::string name;
  std::vector<Value> values;

  bool is_mixed() const { return values.size() > 1; }
};

// Device, compute capability, versions and routing, of contributors that have told what they run on; without those
// that nobody tells.
std::vector<WorkerTrait> WorkerTraits(const v1::DescribeJobResponse& response);

// "library_version is mixed: 0.4.0 (62 contributors), 0.3.0 (contributors 62-63)".
std::string MixText(const WorkerTrait& trait);

// A table of the traits; empty where there are none.
std::string ShowWorkers(const v1::DescribeJobResponse& response);

}  // namespace evenkeel::tools
