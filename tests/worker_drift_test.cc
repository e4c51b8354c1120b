// Why steps that were routed with one stale version move the bias once: a router that drifts, and answers to its bias,
// through an outage of 50 steps. job/move_test shows the same of the rule alone.

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/counting_bench.h"

namespace evenkeel::tests {
namespace {

constexpr uint64_t kBefore = 200;
constexpr uint64_t kOutage = 50;
constexpr uint64_t kAfter = 40;
constexpr uint64_t kSteps = kBefore + kOutage + kAfter;

class WorkerDriftTest : public CountingBench {
 protected:
  // Of steps first to last, as far as their versions were seen.
  double MaxViolation(uint64_t first, uint64_t last) const {
    double most = 0;
    for (const StepLine& line : Lines(0)) {
      if (line.version >= first && line.version <= last) most = std::max(most, line.max_violation);
    }
    return most;
  }

  void RunOutage(const std::string& rule) {
    balance_ = absl::StrCat("{\"preset\": \"", rule, "\", \"rate\": 0.02}");
    StartJob(Alone(2), kSteps, {{"drift", "1"}, {"on_loss", "hold"}, {"patience_ms", "500"}});
    GoTo(kBefore);
    ASSERT_TRUE(AwaitLines(kBefore));
    AwaitCommitted(kBefore);
    KillCoordinator();
    GoTo(kBefore + kOutage);
    ASSERT_TRUE(AwaitLines(kBefore + kOutage));
    StartCoordinator();
    for (uint64_t step = kBefore + kOutage + 1; step <= kSteps; ++step) {
      AwaitCommitted(step - 1);
      GoTo(step);
      ASSERT_TRUE(AwaitLines(step));
    }
    GoToTheEnd();
    for (int rank = 0; rank < ranks(); ++rank) ASSERT_EQ(worker(rank).Wait().exit_code, 0);
  }
};

TEST_F(WorkerDriftTest, AnOutageDoesNotWindTheBiasUp) {
  for (const std::string rule : {"loss_free", "evenkeel"}) {
    RunOutage(rule);
    if (HasFatalFailure()) return;
    ASSERT_GE(Lines(0)[kBefore + kOutage - 1].staleness, kOutage - 2);
    const double before = MaxViolation(kBefore - 50, kBefore);
    // With the bias of before, at its end.
    const double during = MaxViolation(kBefore + kOutage, kBefore + kOutage);
    const double after = MaxViolation(kBefore + kOutage + 1, kSteps);
    std::cout << rule << ": max violation " << before << " in the 50 steps before the outage, " << during
              << " in the last of it, " << after << " in the " << kAfter << " after it\n";
    ASSERT_GT(before, 0);
    ASSERT_GT(during, 0);
    EXPECT_LT(after, 1.5 * std::max(before, during)) << rule;
  }
}

}  // namespace
}  // namespace evenkeel::tests
