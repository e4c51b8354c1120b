#include "server/http/url.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(DecodePercentTest, DecodesOnce) {
  EXPECT_EQ(*DecodePercent(""), "");
  EXPECT_EQ(*DecodePercent("plain+text"), "plain+text");
  EXPECT_EQ(*DecodePercent("a%2Fb%2fc"), "a/b/c");
  EXPECT_EQ(*DecodePercent("%252F"), "%2F");
  EXPECT_EQ(*DecodePercent("%C3%A9"), "\u00e9");
}

TEST(DecodePercentTest, RefusesWhatIsCutOffOrNoNumberOrZero) {
  for (const char* text : {"%", "%2", "a%", "%zz", "%2g", "%%41", "%-1", "%00", "a%00b"}) {
    EXPECT_EQ(DecodePercent(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_THAT(std::string(DecodePercent("a%0").status().message()), HasSubstr("\"a%0\""));
}

TEST(SplitPathTest, ASegmentMayHoldASlash) {
  EXPECT_THAT(*SplitPath("/"), ElementsAre(""));
  EXPECT_THAT(*SplitPath("/api/v1"), ElementsAre("api", "v1"));
  EXPECT_THAT(*SplitPath("/jobs/team%2Frun/load"), ElementsAre("jobs", "team/run", "load"));
  EXPECT_THAT(*SplitPath("/a//b/"), ElementsAre("a", "", "b", ""));
}

TEST(SplitPathTest, ResolvesNothing) { EXPECT_THAT(*SplitPath("/a/../%2e%2E/."), ElementsAre("a", "..", "..", ".")); }

TEST(SplitPathTest, RefusesWhatIsNoPath) {
  for (const char* path : {"", "a", "*", "http://host/a", "/a%"}) EXPECT_FALSE(SplitPath(path).ok()) << path;
}

TEST(ParseQueryTest, NamesAndValues) {
  EXPECT_THAT(*ParseQuery(""), IsEmpty());
  EXPECT_THAT(*ParseQuery("layer=a%26b%3Dc&stream=1"), ElementsAre(Pair("layer", "a&b=c"), Pair("stream", "1")));
  EXPECT_THAT(*ParseQuery("a&b=&c=d=e&&f+g=+"),
              ElementsAre(Pair("a", ""), Pair("b", ""), Pair("c", "d=e"), Pair("f+g", "+")));
}

TEST(ParseQueryTest, RefusesANameTwice) {
  EXPECT_FALSE(ParseQuery("a=1&a=1").ok());
  EXPECT_FALSE(ParseQuery("a=1&%61=2").ok());
  EXPECT_FALSE(ParseQuery("a=%").ok());
}

}  // namespace
}  // namespace evenkeel::http
