#include "adapters/hf/config_map.h"

#include <string>

#include "absl/status/status.h"
#include "adapters/hf/parsed_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::hf {
namespace {

using testing::ElementsAre;
using testing::Optional;

// INVALID_ARGUMENT with exactly this message.
template <typename T>
void ExpectError(const absl::StatusOr<T>& result, absl::string_view message) {
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(result.status().message()), std::string(message));
}

template <typename T>
void ExpectNothing(const absl::StatusOr<std::optional<T>>& result) {
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->has_value());
}

TEST(ConfigMapTest, ReadsEveryType) {
  const ParsedConfig config(
      R"({"i": 8, "e": 1e3, "f": 2.826, "b": true, "w": "sigmoid", "ws": ["a", "b"], "is": [1, 2], "m": {"x": 5}})");
  EXPECT_THAT(*config->Int("i", 0, 8), Optional(8));
  EXPECT_THAT(*config->Int("e", 0, 1000), Optional(1000));
  EXPECT_THAT(*config->Float("f", 0, 10), Optional(2.826f));
  EXPECT_THAT(*config->Float("i", 0, 10), Optional(8.0f));
  EXPECT_THAT(*config->Bool("b"), Optional(true));
  EXPECT_THAT(*config->Word("w"), Optional(std::string("sigmoid")));
  EXPECT_THAT(*config->Words("ws"), Optional(ElementsAre("a", "b")));
  EXPECT_THAT(*config->Ints("is", 1, 2), Optional(ElementsAre(1, 2)));
  EXPECT_THAT((*config->Map("m"))->Int("x", 0, 9).value(), Optional(5));
  EXPECT_TRUE(*config->IsList("is"));
  EXPECT_FALSE(*config->IsList("i"));
  EXPECT_FALSE(*config->IsList("absent"));
}

TEST(ConfigMapTest, AbsentAndNullAreNothing) {
  const ParsedConfig config(R"({"n": null})");
  for (const char* field : {"n", "absent"}) {
    ExpectNothing(config->Int(field, 0, 1));
    ExpectNothing(config->Float(field, 0, 1));
    ExpectNothing(config->Bool(field));
    ExpectNothing(config->Word(field));
    ExpectNothing(config->Words(field));
    ExpectNothing(config->Ints(field, 0, 1));
    ExpectNothing(config->Map(field));
  }
  EXPECT_TRUE(config->Has("n"));
  EXPECT_FALSE(config->Has("absent"));
}

TEST(ConfigMapTest, WrongTypesAreNamedWithTheirPlaces) {
  const ParsedConfig config(R"({"s": "8",
    "f": 1.5, "l": [1, "x"], "m": {}, "inf": Infinity, "nan": NaN, "t": "true", "big": 12345678901234567890})");
  ExpectError(config->Int("s", 0, 9), R"(c.json:1:7: s: "8" is not an integer)");
  ExpectError(config->Int("f", 0, 9), R"(c.json:2:10: f: "1.5" is not an integer)");
  ExpectError(config->Int("big", 0, 9), R"(c.json:2:88: big: "12345678901234567890" is not an integer)");
  ExpectError(config->Int("l", 0, 9), "c.json:2:20: l: a list is not an integer");
  ExpectError(config->Ints("l", 0, 9), R"(c.json:2:24: l: "x" is not an integer)");
  ExpectError(config->Words("l"), R"(c.json:2:21: l: "1" is not a string)");
  ExpectError(config->Words("s"), R"(c.json:1:7: s: "8" is not a list)");
  ExpectError(config->Float("m", 0, 9), "c.json:2:35: m: an object is not a finite number");
  ExpectError(config->Float("inf", 0, 9), R"(c.json:2:46: inf: "Infinity" is not a finite number)");
  ExpectError(config->Float("nan", 0, 9), R"(c.json:2:63: nan: "NaN" is not a finite number)");
  ExpectError(config->Bool("t"), R"(c.json:2:73: t: "true" is not true or false)");
  ExpectError(config->Word("f"), R"(c.json:2:10: f: "1.5" is not a string)");
  ExpectError(config->Map("s"), R"(c.json:1:7: s: "8" is not an object)");
}

TEST(ConfigMapTest, RangesAreClosed) {
  const ParsedConfig config(R"({"i": 8, "f": 0.5, "l": [1, 9]})");
  EXPECT_TRUE(config->Int("i", 8, 8).ok());
  ExpectError(config->Int("i", 1, 7), "c.json:1:7: i: 8 is not in [1, 7]");
  ExpectError(config->Int("i", 9, 10), "c.json:1:7: i: 8 is not in [9, 10]");
  ExpectError(config->Float("f", 1, 2), "c.json:1:15: f: 0.5 is not in [1, 2]");
  ExpectError(config->Ints("l", 0, 8), "c.json:1:29: l: 9 is not in [0, 8]");
}

TEST(ConfigMapTest, AliasesAreOneField) {
  const ParsedConfig config(R"({"b": 8, "c": 8, "d": 9, "n": null})");
  EXPECT_THAT(*config->Int({"a", "b", "c"}, 0, 9), Optional(8));
  EXPECT_THAT(*config->Int({"n", "b"}, 0, 9), Optional(8));
  ExpectError(config->Int({"a", "b", "d"}, 0, 9), R"(c.json:1:23: d: "9" differs from b = "8")");
}

TEST(ConfigMapTest, AFieldThatIsReadIsThereOnce) {
  const ParsedConfig config(R"({"a": 1, "b": 2, "a": 1})");
  EXPECT_TRUE(config->Int("b", 0, 9).ok());
  ExpectError(config->Int("a", 0, 9), "c.json:1:23: a: is there twice");
}

TEST(ConfigMapTest, NestedFieldsAreNamedByTheirPaths) {
  const ParsedConfig config(R"({"text_config": {"inner": {"k": "x"}}})");
  const ConfigMap inner = **(**config->Map("text_config")).Map("inner");
  EXPECT_EQ(inner.path(), "text_config.inner.");
  ExpectError(inner.Int("k", 0, 9), R"(c.json:1:33: text_config.inner.k: "x" is not an integer)");
  EXPECT_EQ(inner.Missing({"e", "f", "g"}).message(), "c.json:1:27: text_config.inner.e: missing (also known as f, g)");
  EXPECT_EQ(inner.Missing("e").message(), "c.json:1:27: text_config.inner.e: missing");
}

TEST(ConfigMapTest, KeysAreInTheOrderOfTheText) {
  EXPECT_THAT(ParsedConfig(R"({"b": 1, "a": {"c": 2}})")->Keys(), ElementsAre("b", "a"));
}

}  // namespace
}  // namespace evenkeel::hf
