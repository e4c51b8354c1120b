#include "tests/proxied_bench.h"

#include <utility>

namespace evenkeel::tests {

FaultTally ProxiedBench::tally_;

void ProxiedBench::TearDownTestSuite() { tally_.Print(); }

void ProxiedBench::StartProxiedJob(std::vector<Contributor> contributors, uint64_t steps, const Flags& flags) {
  size_t ranks = 0;
  for (const Contributor& contributor : contributors) ranks += contributor.ranks.size();
  ways_.clear();
  for (size_t rank = 0; rank < ranks; ++rank) ways_.push_back(std::make_unique<TcpProxy>(coordinator_->address()));
  StartJob(std::move(contributors), steps, flags);
}

void ProxiedBench::ExpectNothingLost() {
  ASSERT_NO_FATAL_FAILURE(ExpectReferenceAtTheEnd());
  EXPECT_EQ(LostSteps(), 0);
  tally_.AddLost(static_cast<int64_t>(LostSteps()));
}

}  // namespace evenkeel::tests
