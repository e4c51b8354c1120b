#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/core/record.h"

namespace evenkeel::core::simulation {

// What a store keeps, in memory: writes change it as record.h says, and it outlives the coordinator.
class Disk {
 public:
  void Apply(const std::vector<Write>& writes);

  // In ascending order of names; without those that have expired.
  std::vector<JobRecord> Load() const;
  bool HasExpired(const std::string& job) const;

  // Null when the job is not on disk. Valid until the next Apply.
  const JobRecord* Find(const std::string& job) const;

  // Those of the steps' states that are kept, in order.
  std::vector<v1::JobState> States(const std::string& job, const std::vector<uint64_t>& steps) const;

 private:
  struct Kept {
    JobRecord record;
    // By step.
    std::map<uint64_t, std::shared_ptr<const v1::JobState>> states;
    bool expired = false;
  };

  // Forgets the states that are neither among the newest `newest`, nor needed by the newest.
  static void Trim(uint64_t newest, Kept* kept);
  static void PutState(const Write& write, Kept* kept);
  static void ApplyTo(const Write& write, Kept* kept);

  std::map<std::string, Kept> jobs_;
};

}  // namespace evenkeel::core::simulation
