#include "tests/load/load_case.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::load {
namespace {

using ::testing::HasSubstr;

TEST(LoadCaseTest, IsNamedAsItIsWritten) {
  const auto load_case = ParseLoadCase("64x61x256");
  ASSERT_TRUE(load_case.ok()) << load_case.status();
  EXPECT_EQ(load_case->workers, 64);
  EXPECT_EQ(load_case->layers, 61);
  EXPECT_EQ(load_case->experts, 256);
  EXPECT_EQ(load_case->jobs, 1);
  EXPECT_EQ(load_case->name(), "64x61x256");
  LoadCase jobs = *load_case;
  jobs.jobs = 16;
  EXPECT_EQ(jobs.name(), "16 jobs of 64x61x256");
}

TEST(LoadCaseTest, TakesAListInItsOrder) {
  const auto cases = ParseLoadCases("1x8x8,1024x256x1024");
  ASSERT_TRUE(cases.ok()) << cases.status();
  ASSERT_EQ(cases->size(), 2);
  EXPECT_EQ((*cases)[0].name(), "1x8x8");
  EXPECT_EQ((*cases)[1].name(), "1024x256x1024");
}

TEST(LoadCaseTest, RefusesWhatIsOutOfRangeAndNamesIt) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "WORKERSxLAYERSxEXPERTS"},   {"64x61", "WORKERSxLAYERSxEXPERTS"}, {"1x1x8x1", "WORKERSxLAYERSxEXPERTS"},
      {"0x61x256", "workers is 0"},     {"1025x61x256", "workers is 1025"},  {"1x0x256", "layers is 0"},
      {"1x257x256", "layers is 257"},   {"1x1x7", "experts is 7"},           {"1x1x1025", "experts is 1025"},
      {"twox61x256", "workers is two"}, {"1x8x8,2x", "case \"2x\""},
  };
  for (const auto& [text, said] : cases) {
    const auto status = ParseLoadCases(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(said));
  }
}

}  // namespace
}  // namespace evenkeel::load
