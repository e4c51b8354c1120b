#pragma once

#include <map>
#include <string>
#include <vector>

#include "server/core/record.h"

namespace evenkeel::core::simulation {

// What a store keeps, in memory: writes change it as record.h says, and it outlives the coordinator.
class Disk {
 public:
  void Apply(const std::vector<Write>& writes);

  // In ascending order of names.
  std::vector<JobRecord> Load() const;

  // Null when the job is not on disk. Valid until the next Apply.
  const JobRecord* Find(const std::string& job) const;

 private:
  std::map<std::string, JobRecord> records_;
};

}  // namespace evenkeel::core::simulation
