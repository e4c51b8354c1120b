// The simulator finds what it is there to find.

#include "server/core/simulation/planted_faults.h"

#include <ostream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::core::simulation {

void PrintTo(const PlantedFault& fault, std::ostream* out) { *out << fault.name; }

namespace {

constexpr uint64_t kHistories = 300;

class PlantedFaultTest : public ::testing::TestWithParam<PlantedFault> {};

TEST_P(PlantedFaultTest, IsFound) {
  uint64_t seed = 1;
  Report report;
  for (; seed <= kHistories && report.complaint.empty(); ++seed) report = RunHistory(seed, GetParam().make);
  EXPECT_THAT(report.complaint, testing::HasSubstr(GetParam().complaint));
  ASSERT_NE(report.complaint, "") << "not in " << kHistories << " histories";

  const std::string explanation = Explain(report.seed, GetParam().make);
  EXPECT_THAT(explanation, testing::HasSubstr(report.complaint)) << "the same seed gives the same history";
  EXPECT_THAT(explanation, testing::HasSubstr("EVENKEEL_SEED=" + std::to_string(report.seed)));
  EXPECT_THAT(explanation, testing::HasSubstr("BREACH: "));
}

INSTANTIATE_TEST_SUITE_P(All, PlantedFaultTest, ::testing::ValuesIn(PlantedFaults()),
                         [](const auto& fault) { return fault.param.name; });

}  // namespace
}  // namespace evenkeel::core::simulation
