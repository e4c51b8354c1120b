#include "tools/flags.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

struct Values {
  std::string spec = "default";
  std::string out;
  bool json = false;
  std::optional<int> top_k;
  double timeout = 5;
  std::optional<double> rate;
  std::vector<std::string> layers;
};

absl::Status Parse(const std::vector<std::string>& args, Values* values) {
  return ParseFlags(args, {
                              {"spec", &values->spec},
                              {"out", &values->out, /*is_required=*/true},
                              {"json", &values->json},
                              {"top-k", &values->top_k},
                              {"timeout", &values->timeout},
                              {"rate", &values->rate},
                              {"layer", &values->layers},
                          });
}

TEST(FlagsTest, TakesBothFormsOfAValue) {
  Values values;
  ASSERT_TRUE(Parse({"--out", "x", "--spec=a=b", "--json", "--top-k", "-3", "--timeout=0.5"}, &values).ok());
  EXPECT_EQ(values.out, "x");
  EXPECT_EQ(values.spec, "a=b");
  EXPECT_TRUE(values.json);
  EXPECT_EQ(values.top_k, -3);
  EXPECT_EQ(values.timeout, 0.5);
}

TEST(FlagsTest, AListHasAllValues) {
  Values values;
  ASSERT_TRUE(Parse({"--out", "x", "--layer", "a", "--rate=0.5", "--layer=b"}, &values).ok());
  EXPECT_EQ(values.layers, std::vector<std::string>({"a", "b"}));
  EXPECT_EQ(values.rate, 0.5);
  EXPECT_EQ(Parse({"--out", "x", "--rate", "fast"}, &values).message(), "--rate: \"fast\" is not a number");
}

TEST(FlagsTest, LeavesTheDefaultsOfAbsentFlags) {
  Values values;
  ASSERT_TRUE(Parse({"--out", "x"}, &values).ok());
  EXPECT_EQ(values.spec, "default");
  EXPECT_FALSE(values.json);
  EXPECT_FALSE(values.top_k.has_value());
  EXPECT_EQ(values.timeout, 5);
}

TEST(FlagsTest, RefusalsNameFlagAndValue) {
  const struct {
    std::vector<std::string> args;
    std::string message;
  } kCases[] = {
      {{}, "--out is required"},
      {{"--spec", "s"}, "--out is required"},
      {{"--ou", "x"}, "unknown flag --ou; the flags are --spec, --out, --json, --top-k, --timeout, --rate, --layer"},
      {{"--ou=x"}, "unknown flag --ou; the flags are --spec, --out, --json, --top-k, --timeout, --rate, --layer"},
      {{"--"}, "unknown flag --; the flags are --spec, --out, --json, --top-k, --timeout, --rate, --layer"},
      {{"-out", "x"}, "unexpected argument \"-out\""},
      {{"--out", "x", "y"}, "unexpected argument \"y\""},
      {{"--out", "x", "--out=y"}, "--out is given twice"},
      {{"--out", "x", "--json", "--json"}, "--json is given twice"},
      {{"--out"}, "--out needs a value"},
      {{"--out", "--json"}, "--out needs a value"},
      {{"--out", ""}, "--out: \"\" is empty"},
      {{"--out="}, "--out: \"\" is empty"},
      {{"--json=true"}, "--json: \"true\" where no value belongs"},
      {{"--top-k", "two"}, "--top-k: \"two\" is not an integer"},
      {{"--top-k", "3000000000"}, "--top-k: \"3000000000\" is not an integer"},
      {{"--timeout", "5s"}, "--timeout: \"5s\" is not a number"},
  };
  for (const auto& c : kCases) {
    Values values;
    const absl::Status status = Parse(c.args, &values);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_EQ(std::string(status.message()), c.message);
  }
}

}  // namespace
}  // namespace evenkeel::tools
