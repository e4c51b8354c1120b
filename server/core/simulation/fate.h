#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace evenkeel::core::simulation {

// Which of the faults that a history draws strike. Each has a name of its own, which says what it is and where, and
// which does not hang on what else strikes: so a history can be run again with some of its faults only.
class Fate {
 public:
  using Faults = std::vector<std::string>;

  // `only`: the faults that may strike; absent: all.
  explicit Fate(const std::optional<Faults>& only) : all_(!only.has_value()) {
    if (only.has_value()) only_.insert(only->begin(), only->end());
  }

  // Whether a fault that was drawn strikes.
  bool Strikes(std::string name) {
    if (!all_ && only_.count(name) == 0) return false;
    if (known_.insert(name).second) struck_.push_back(std::move(name));
    return true;
  }

  // Each once, in the order in which they struck.
  const Faults& struck() const { return struck_; }

 private:
  const bool all_;
  std::set<std::string> only_;
  std::set<std::string> known_;
  Faults struck_;
};

}  // namespace evenkeel::core::simulation
