// The coordinator in thousands of histories of lost, late and repeated messages, dying processes and restarts.
//
//   EVENKEEL_SEED       the first seed (default 1)
//   EVENKEEL_HISTORIES  how many there are (default 2000)

#include "server/core/simulation/simulation.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "gtest/gtest.h"

namespace evenkeel::core::simulation {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  uint64_t value = fallback;
  if (text != nullptr && !absl::SimpleAtoi(text, &value)) ADD_FAILURE() << name << "=" << text << " is no number";
  return value;
}

// What so many histories meet, or they are not worth much.
constexpr uint64_t kEnoughHistories = 500;
constexpr const char* kMet[] = {
    "BIAS_DIFFERS",
    "SAME_TOKENS",
    "SILENT_LAYER",
    "TOO_MANY_TOKENS",
    "cancelled",
    "interrupted before the write",
    "interrupted between answers",
    "job in mode BALANCE",
    "job in mode FROZEN",
    "job in mode OBSERVE",
    "job went back",
    "job with lag 0",
    "job with lag 1",
    "join REPLACED",
    "join REWIND_PENDING",
    "join STEP_BEHIND",
    "life that begins within a move",
    "push NOT_JOINED",
    "push REPLACED",
    "push SHUTTING_DOWN",
    "push STALE_EPOCH",
    "push accepted",
    "push duplicate",
    "push late",
    "push provisional",
    "push refused",
    "push with lost counts",
    "server crashed",
    "server stopped",
    "stale step with lag 0",
    "stale step with lag 1",
    "step of a halted job",
    "step replayed",
    "step routed with several stale versions",
    "step skipped",
    "step taken",
    "step without participants",
    "training restarted",
    "worker caught up",
    "worker crashed",
    "worker cut off",
    "worker given up",
    "worker left",
};

std::unique_ptr<Parts> Honest() { return std::make_unique<Parts>(); }

TEST(SimulationTest, TheContractHoldsInEveryHistory) {
  const uint64_t seed = FromEnvironment("EVENKEEL_SEED", 1);
  const uint64_t histories = FromEnvironment("EVENKEEL_HISTORIES", 2000);
  std::map<std::string, int> counts;
  for (uint64_t i = 0; i < histories; ++i) {
    const Report report = RunHistory(seed + i, Honest);
    ASSERT_EQ(report.complaint, "") << Explain(seed + i, Honest);
    for (const auto& [what, count] : report.counts) counts[what] += count;
  }
  if (histories < kEnoughHistories) return;
  for (const char* what : kMet)
    EXPECT_GT(counts[what], 0) << what << " never happened in " << histories << " histories";
}

}  // namespace
}  // namespace evenkeel::core::simulation
