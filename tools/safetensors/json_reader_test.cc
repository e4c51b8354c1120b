#include "tools/safetensors/json_reader.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::HasSubstr;

TEST(JsonReaderTest, ReadsFromLeftToRightPastWhiteSpace) {
  JsonReader reader(" {\t\"a\" :\n[ 12,0 ]\r} ");
  EXPECT_TRUE(reader.Expect('{').ok());
  EXPECT_EQ(*reader.String(), "a");
  EXPECT_FALSE(reader.Take(','));
  EXPECT_TRUE(reader.Take(':') && reader.Take('['));
  EXPECT_EQ(*reader.Integer(), 12);
  EXPECT_TRUE(reader.Take(','));
  EXPECT_EQ(*reader.Integer(), 0);
  EXPECT_THAT(reader.ExpectEnd().message(), HasSubstr("the end is missing at byte 16"));
  EXPECT_TRUE(reader.Take(']') && reader.Take('}'));
  EXPECT_TRUE(reader.ExpectEnd().ok());
}

TEST(JsonReaderTest, UnescapesStrings) {
  JsonReader reader(R"("\"\\\/\b\f\n\r\t" "\u0041\u00e9\u20AC\ud83d\ude00" "é")");
  EXPECT_EQ(*reader.String(), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(*reader.String(), "Aé€😀");
  EXPECT_EQ(*reader.String(), "é");
}

TEST(JsonReaderTest, RefusesWhatIsNoString) {
  for (const std::string text : {"", "a", "\"a", "\"a\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud83d\"",
                                 "\"\\ud83d\\u0041\"", "\"\\ude00\"", "\"a\nb\"", "\"\xff\"", "'a'"}) {
    EXPECT_FALSE(JsonReader(text).String().ok()) << text;
  }
}

TEST(JsonReaderTest, IntegersAreDigitsAlone) {
  EXPECT_EQ(*JsonReader("9223372036854775807").Integer(), std::numeric_limits<int64_t>::max());
  for (const std::string text : {"", "-1", "+1", "01", "9223372036854775808", "\"1\"", "x"}) {
    EXPECT_FALSE(JsonReader(text).Integer().ok()) << text;
  }
  // What follows is for the next call to refuse.
  JsonReader fraction("1.5");
  EXPECT_EQ(*fraction.Integer(), 1);
  EXPECT_FALSE(fraction.ExpectEnd().ok());
}

}  // namespace
}  // namespace evenkeel::tools
