#include "tests/fault_tally.h"

#include <iostream>

namespace evenkeel::tests {

void FaultTally::Print() const {
  for (const auto& [kind, times] : injected_) {
    std::cout << "fault " << kind << ": " << times << " injected, " << lost_ << " steps lost\n";
  }
}

}  // namespace evenkeel::tests
