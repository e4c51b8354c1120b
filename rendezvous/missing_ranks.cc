#include "rendezvous/missing_ranks.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"

namespace evenkeel::rendezvous {

std::string NameRanks(const std::vector<int>& ranks) {
  constexpr size_t kNamed = 3;
  EVENKEEL_CHECK(!ranks.empty());
  if (ranks.size() == 1) return absl::StrCat("rank ", ranks[0]);
  if (ranks.size() > kNamed) {
    return absl::StrCat("ranks ", absl::StrJoin(ranks.begin(), ranks.begin() + kNamed, ", "), " and ",
                        ranks.size() - kNamed, " more");
  }
  return absl::StrCat("ranks ", absl::StrJoin(ranks.begin(), ranks.end() - 1, ", "), " and ", ranks.back());
}

}  // namespace evenkeel::rendezvous
