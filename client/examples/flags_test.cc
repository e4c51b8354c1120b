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
      ParseFlags({"--contributor", "2", "--contributors=3", "--text", "a", "b", "--json", "--balance", R"({"rate": 1})",
                  "--seed=18446744073709551615", "--text=c"});
  ASSERT_TRUE(flags.ok()) << flags.status().message();
  EXPECT_EQ(flags->contributor, 2);
  EXPECT_EQ(flags->contributors, 3);
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
      {{"--contributor", "-1"}, "--contributor is \"-1\""},
      {{"--contributor", "4", "--contributors", "4"}, "--contributor is 4"},
      {{"--top-k", "65"}, "--top-k is 65"},
      {{"--next-step", "9", "--steps", "8"}, "--steps is 8"},
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
       {"--coordinator", "--job", "--contributor ", "--contributors", "--next-step", "--steps", "--layers", "--experts",
        "--top-k", "--tokens", "--hidden", "--micro-batches", "--seed", "--text", "--balance", "--json", "--help"}) {
    EXPECT_THAT(kHelp, HasSubstr(name));
  }
}

}  // namespace
}  // namespace text_worker
