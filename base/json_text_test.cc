#include "base/json_text.h"

#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel {
namespace {

TEST(JsonTextTest, EscapesStrings) { EXPECT_EQ(JsonString("a \"b\\ \n\x01 é"), "\"a \\\"b\\\\ \\u000a\\u0001 é\""); }

TEST(JsonTextTest, NumbersAreShortAndExact) {
  EXPECT_EQ(JsonNumber(0.1), "0.1");
  EXPECT_EQ(JsonNumber(-3), "-3");
  EXPECT_EQ(JsonNumber(0.1f), "0.10000000149011612");
  EXPECT_EQ(JsonNumber(std::numeric_limits<double>::quiet_NaN()), "null");
}

TEST(JsonTextTest, FloatsAreShorter) {
  EXPECT_EQ(JsonFloat(0.1f), "0.1");
  EXPECT_EQ(JsonFloat(-3), "-3");
  EXPECT_EQ(JsonFloat(1e-9f), "1e-09");
  EXPECT_EQ(JsonFloat(std::numeric_limits<float>::infinity()), "null");
}

TEST(JsonTextTest, Lists) {
  EXPECT_EQ(JsonList(std::vector<std::string>{"a", "b"}, JsonString), "[\"a\", \"b\"]");
  EXPECT_EQ(JsonList(std::vector<double>{}, JsonNumber), "[]");
}

}  // namespace
}  // namespace evenkeel
