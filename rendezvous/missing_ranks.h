#pragma once

#include <string>
#include <vector>

namespace evenkeel::rendezvous {

// "rank 3", "ranks 3 and 5", "ranks 3, 5 and 6", "ranks 3, 5, 6 and 9 more": at most three by name. `ranks` is
// ascending, and not empty.
std::string NameRanks(const std::vector<int>& ranks);

}  // namespace evenkeel::rendezvous
