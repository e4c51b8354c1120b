#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace evenkeel::tests {

// The faults that a test has injected, by kind, and what they cost; the table of README comes from what it prints.
class FaultTally {
 public:
  void Add(const std::string& kind, int64_t times = 1) { injected_[kind] += times; }
  // Steps whose counts are in no trajectory.
  void AddLost(int64_t steps) { lost_ += steps; }

  // "fault KIND: 57 injected, 0 steps lost", a line for each kind. What is lost can be laid to any of them.
  void Print() const;

 private:
  std::map<std::string, int64_t> injected_;
  int64_t lost_ = 0;
};

}  // namespace evenkeel::tests
