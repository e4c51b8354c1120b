#include "tests/gpu_check/flags.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::gpu_check {
namespace {

TEST(FlagsTest, WithoutAnyBothPartsAreWanted) {
  const absl::StatusOr<Flags> flags = ParseFlags({});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_TRUE(flags->tests && flags->benchmark);
  EXPECT_FALSE(flags->quick || flags->help);
}

TEST(FlagsTest, OnePart) {
  EXPECT_FALSE(ParseFlags({"--tests"})->benchmark);
  EXPECT_FALSE(ParseFlags({"--benchmark"})->tests);
  EXPECT_TRUE(ParseFlags({"--quick"})->tests && ParseFlags({"--quick"})->quick);
}

TEST(FlagsTest, ValuesFollowOrAreJoined) {
  const absl::StatusOr<Flags> flags =
      ParseFlags({"--json", "a.json", "--python=/usr/bin/python3", "--seconds", "1.5", "--tests"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->json, "a.json");
  EXPECT_EQ(flags->python, "/usr/bin/python3");
  EXPECT_EQ(flags->seconds, 1.5);
  EXPECT_TRUE(flags->tests);
}

TEST(FlagsTest, NamesWhatIsWrong) {
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{{"--jsn"},
                                                                                     {"file"},
                                                                                     {"--json"},
                                                                                     {"--json="},
                                                                                     {"--tests", "--python"},
                                                                                     {"--quick=1"},
                                                                                     {"--jsonfile=x"},
                                                                                     {"--seconds=-1"},
                                                                                     {"--seconds=x"},
                                                                                     {"--tests", "--seconds"}}) {
    const absl::StatusOr<Flags> flags = ParseFlags(wrong);
    EXPECT_EQ(flags.status().code(), absl::StatusCode::kInvalidArgument) << wrong.back();
    EXPECT_EQ(std::string(flags.status().message()).rfind(wrong.back(), 0), 0) << flags.status();
  }
}

}  // namespace
}  // namespace evenkeel::gpu_check
