#include "client/examples/flags.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace text_worker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseFlagsTest, WithoutArgumentsHasTheDefaults) {
  evenkeel::Result<Flags> flags = ParseFlags({});
  ASSERT_TRUE(flags.ok());
  EXPECT_EQ(flags->coordinator, "127.0.0.1:7411");
  EXPECT_EQ(flags->steps, 200);
  EXPECT_THAT(flags->text, ElementsAre("/usr/share/common-licenses"));
  EXPECT_FALSE(flags->json);
}

TEST(ParseFlagsTest, ReadsBothForms) {
  evenkeel::Result<Flags> flags =
      ParseFlags({"--rank", "2", "--world-size=3", "--text", "a", "b", "--json", "--balance", R"({"rate": 1})",
                  "--seed=18446744073709551615", "--text=c"});
  ASSERT_TRUE(flags.ok()) << flags.status().message();
  EXPECT_EQ(flags->rank, 2);
  EXPECT_EQ(flags->world_size, 3);
  EXPECT_THAT(flags->text, ElementsAre("c"));
  EXPECT_TRUE(flags->json);
  EXPECT_EQ(flags->balance, R"({"rate": 1})");
  EXPECT_EQ(flags->seed, 18446744073709551615u);
}

TEST(ParseFlagsTest, TextTakesAllPathsUpToTheNextFlag) {
  evenkeel::Result<Flags> flags = ParseFlags({"--text", "a", "b", "c", "--steps", "7"});
  ASSERT_TRUE(flags.ok());
  EXPECT_THAT(flags->text, ElementsAre("a", "b", "c"));
  EXPECT_EQ(flags->steps, 7);
}

TEST(ParseFlagsTest, ReadsMadeUpWork) {
  EXPECT_FALSE(ParseFlags({})->synthetic);
  evenkeel::Result<Flags> flags =
      ParseFlags({"--synthetic", "--skew", "0.5", "--drift=1e-3", "--dead-experts", "58", "--padding", "1"});
  ASSERT_TRUE(flags.ok()) << flags.status().message();
  EXPECT_TRUE(flags->synthetic);
  EXPECT_EQ(flags->skew, 0.5);
  EXPECT_EQ(flags->drift, 1e-3);
  EXPECT_EQ(flags->dead_experts, 58);
  EXPECT_EQ(flags->padding, 1);
}

TEST(ParseFlagsTest, ADeviceHasANumberOrAName) {
  EXPECT_EQ(ParseFlags({})->device, Flags::kAuto);
  EXPECT_EQ(ParseFlags({"--device", "3"})->device, 3);
  EXPECT_EQ(ParseFlags({"--device=cpu"})->device, Flags::kHost);
  EXPECT_EQ(ParseFlags({"--device", "0", "--device", "auto"})->device, Flags::kAuto);
}

TEST(ParseFlagsTest, RefusesWhatIsWrongAndNamesIt) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--step", "1"}, "--step"},
      {{"200"}, "200"},
      {{"--steps"}, "--steps needs a value"},
      {{"--steps", "--json"}, "--steps needs a value"},
      {{"--text", "--json"}, "--text needs a value"},
      {{"--steps", "1", "2"}, "2 is no flag"},
      {{"--steps", "0"}, "--steps is \"0\""},
      {{"--steps", "1x"}, "--steps is \"1x\""},
      {{"--steps="}, "--steps is \"\""},
      {{"--layers", "99999999999"}, "--layers is \"99999999999\""},
      {{"--rank", "-1"}, "--rank is \"-1\""},
      {{"--rank", "4", "--world-size", "4"}, "--rank is 4"},
      {{"--top-k", "65"}, "--top-k is 65"},
      {{"--next-step", "9", "--steps", "8"}, "--steps is 8"},
      {{"--synthetic", "--padding", "1.5"}, "--padding is \"1.5\"; 0 to 1 are allowed"},
      {{"--synthetic", "--skew", "nan"}, "--skew is \"nan\""},
      {{"--synthetic", "--drift", "-1"}, "--drift is \"-1\""},
      {{"--synthetic", "--dead-experts", "59"}, "--dead-experts is 59; it must be at most --experts less --top-k, 58"},
      {{"--synthetic", "1"}, "1 is no flag"},
      {{"--device", "gpu"}, "--device is \"gpu\"; cpu, auto and 0 to 1023"},
      {{"--device", "-1"}, "--device is \"-1\""},
      {{"--synthetic", "--text", "a"}, "--text has no meaning with --synthetic"},
      {{"--hidden", "8", "--synthetic"}, "--hidden has no meaning with --synthetic"},
      {{"--skew", "1"}, "--skew has no meaning without --synthetic"},
  };
  for (const auto& [arguments, named] : cases) {
    const evenkeel::Result<Flags> flags = ParseFlags(arguments);
    EXPECT_FALSE(flags.ok()) << named;
    EXPECT_THAT(flags.status().message(), HasSubstr(named));
  }
}

TEST(ParseFlagsTest, TheHelpNamesEveryFlag) {
  EXPECT_TRUE(ParseFlags({"--help"})->help);
  for (const char* name :
       {"--coordinator", "--job",     "--rank ",        "--world-size", "--next-step", "--steps",
        "--layers",      "--experts", "--top-k",        "--tokens",     "--hidden",    "--micro-batches",
        "--seed",        "--text",    "--balance",      "--json",       "--help",      "--synthetic",
        "--skew",        "--drift",   "--dead-experts", "--padding",    "--device"}) {
    EXPECT_THAT(kHelp, HasSubstr(name));
  }
}

}  // namespace
}  // namespace text_worker
