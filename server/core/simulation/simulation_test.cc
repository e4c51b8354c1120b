// The coordinator in thousands of histories of lost, late and repeated messages, dying processes and restarts.
//
//   EVENKEEL_SEED       the first seed (default 1)
//   EVENKEEL_HISTORIES  how many there are (default 10,000; with EVENKEEL_LONG 100,000)
//   EVENKEEL_HISTORY    a recipe (recipe.h): that history alone, event by event

#include "server/core/simulation/simulation.h"

#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/core/simulation/explain.h"

namespace evenkeel::core::simulation {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  uint64_t value = fallback;
  if (text != nullptr && !absl::SimpleAtoi(text, &value)) ADD_FAILURE() << name << "=" << text << " is no number";
  return value;
}

uint64_t Usual() { return std::getenv("EVENKEEL_LONG") != nullptr ? 100'000 : 10'000; }

// What histories have to meet, or they are not worth much: each this often in a thousand.
constexpr int kAtLeast = 10;
constexpr uint64_t kEnoughHistories = 1000;
constexpr const char* kMet[] = {
    // Jobs: their stages, groups, policies and what their workers do wrong.
    "job in mode BALANCE",
    "job in mode FROZEN",
    "job in mode OBSERVE",
    "job whose processes count anew",
    "job with groups",
    "job with lag 0",
    "job with lag 1",
    "job with policy COMMIT_WITHOUT",
    "job with policy FAIL",
    "job with policy WAIT",
    "job with stages",
    "BIAS_DIFFERS",
    "SAME_TOKENS",
    "SILENT_LAYER",
    "TOO_MANY_TOKENS",
    // Incidents.
    "clock-jumps",
    "clock-stands",
    "partition",
    "server-crashes",
    "server-stops",
    "training-restarts",
    "write-interrupted",
    "worker-crashes",
    "worker-given-up",
    "worker-hangs",
    "worker-leaves",
    "worker-slows",
    // Messages and writes.
    "interrupted before the write",
    "interrupted between answers",
    "message cut off",
    "message doubled",
    "message late",
    "message lost",
    "message overtaken",
    // What came of it.
    "cancelled",
    "job expired",
    "job failed",
    "job went back",
    "job woken",
    "join REPLACED",
    "join REWIND_PENDING",
    "join STEP_BEHIND",
    "life that begins within a move",
    "push JOB_FAILED",
    "push JOB_UNKNOWN",
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
    "stale step with lag 0",
    "stale step with lag 1",
    "step of a halted job",
    "step replayed",
    "step routed with several stale versions",
    "step skipped",
    "step taken",
    "step without participants",
    "step without some",
    "step without some, in time",
    "step without some, overdue",
    "worker came between steps",
    "worker caught up",
    "worker cut off",
    "worker deaf",
    "worker ended with its job",
    "worker not heard",
};

std::unique_ptr<Parts> Honest() { return std::make_unique<Parts>(); }

TEST(SimulationTest, TheContractHoldsInEveryHistory) {
  const uint64_t seed = FromEnvironment("EVENKEEL_SEED", 1);
  const uint64_t histories = FromEnvironment("EVENKEEL_HISTORIES", Usual());
  std::map<std::string, int> counts;
  for (uint64_t i = 0; i < histories; ++i) {
    const Report report = RunHistory({seed + i}, Honest);
    ASSERT_EQ(report.complaint, "") << Explain(report, Honest);
    for (const auto& [what, count] : report.counts) counts[what] += count;
  }
  for (const auto& [what, count] : counts) std::cout << count << " " << what << "\n";
  if (histories < kEnoughHistories) return;
  for (const char* what : kMet) {
    EXPECT_GE(counts[what] * kEnoughHistories, kAtLeast * histories) << what << " in " << histories << " histories";
  }
}

TEST(SimulationTest, TheContractHoldsInThisHistory) {
  const char* text = std::getenv("EVENKEEL_HISTORY");
  if (text == nullptr) GTEST_SKIP() << "EVENKEEL_HISTORY names none";
  const absl::StatusOr<Recipe> recipe = ParseRecipe(text);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  const Report report = RunHistory(*recipe, Honest, /*keep_events=*/true);
  EXPECT_EQ(report.complaint, "") << absl::StrJoin(report.events, "\n");
}

}  // namespace
}  // namespace evenkeel::core::simulation
