#include "config/text.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "evenkeel/v1/balance_config.pb.h"
#include "evenkeel/v1/coordinator_config.pb.h"
#include "evenkeel/v1/job.pb.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// The message of `text`, or an empty one and a failed test.
template <typename Message>
Message Parsed(absl::string_view text) {
  Message message;
  const absl::Status status = ParseText(text, "test.yaml", &message);
  EXPECT_TRUE(status.ok()) << status << " for " << text;
  return message;
}

TEST(TextTest, JsonAndYamlSayTheSame) {
  const auto json = Parsed<v1::RouteSpec>(
      R"({"num_experts": 256, "topK": 8, "score": "SIGMOID", "num_groups": 8, "topGroups": 4, "normalize": true,
          "normalize_epsilon": 1e-20, "scale": 2.5, "group_score": "TOP2_SUM"})");
  const auto yaml = Parsed<v1::RouteSpec>(
      "num_experts: 256\ntop_k: 8\nscore: SIGMOID\nnumGroups: 8\ntop_groups: 4\nnormalize: true\n"
      "normalizeEpsilon: 1e-20\nscale: 2.5  # routed_scaling_factor\ngroup_score: TOP2_SUM\n");
  EXPECT_EQ(json.SerializeAsString(), yaml.SerializeAsString());
  EXPECT_EQ(json.top_k(), 8);
  EXPECT_EQ(json.score(), v1::RouteSpec::Score::SIGMOID);
  EXPECT_EQ(json.normalize_epsilon(), 1e-20f);
  EXPECT_FALSE(json.has_weight());
}

TEST(TextTest, NestedMessagesAndLists) {
  const auto config = Parsed<v1::BalanceConfig>(
      "preset: torchtitan\n"
      "schedule:\n"
      "  kind: STEPS\n"
      "  points:\n"
      "    - {from_position: 1, ratio: 1}\n"
      "    - fromPosition: \"1e3\"\n"
      "      ratio: \"0.5\"\n"
      "target: [0.25, -1, \"0.75\"]\n");
  EXPECT_EQ(config.preset(), "torchtitan");
  EXPECT_EQ(config.schedule().points(1).from_position(), 1000);
  EXPECT_EQ(config.schedule().points(1).ratio(), 0.5);
  EXPECT_THAT(config.target(), ElementsAre(0.25f, -1.0f, 0.75f));

  const auto coordinator =
      Parsed<v1::CoordinatorConfig>("listen: 0.0.0.0:7411\nstate_dir: '7'\ndefault_balance: {preset: megatron}\n");
  EXPECT_EQ(coordinator.listen(), "0.0.0.0:7411");
  EXPECT_EQ(coordinator.state_dir(), "7");
  EXPECT_EQ(coordinator.default_balance().preset(), "megatron");
}

TEST(TextTest, NullIsAbsentAndZeroIsNot) {
  const auto absent = Parsed<v1::BalanceConfig>("cap: null\nrate: ~\ntarget: null\nschedule:\n");
  EXPECT_EQ(absent.ByteSizeLong(), 0);
  const auto zero = Parsed<v1::BalanceConfig>("cap: 0\nfrozen: false\npreset: ''\n");
  EXPECT_TRUE(zero.has_cap() && zero.has_frozen() && zero.has_preset());
  EXPECT_EQ(Parsed<v1::BalanceConfig>("{}").ByteSizeLong(), 0);
}

TEST(TextTest, ReplacesWhatTheMessageHeldOnlyOnSuccess) {
  v1::RouteSpec spec;
  spec.set_top_k(3);
  spec.set_scale(4);
  const std::string before = spec.SerializeAsString();
  EXPECT_FALSE(ParseText("num_experts: 8\ntop_k: two", "t", &spec).ok());
  EXPECT_EQ(spec.SerializeAsString(), before);
  ASSERT_TRUE(ParseText("num_experts: 8", "t", &spec).ok());
  EXPECT_TRUE(spec.num_experts() == 8 && !spec.has_top_k() && !spec.has_scale());
}

struct Malformed {
  absl::string_view text;
  std::string message;  // the whole of it
};

template <typename Message>
void ExpectRefused(const Malformed& c) {
  Message message;
  const absl::Status status = ParseText(c.text, "spec.json", &message);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
  EXPECT_EQ(std::string(status.message()), c.message) << c.text;
  EXPECT_EQ(message.ByteSizeLong(), 0) << c.text;
}

TEST(TextTest, EveryRefusalNamesPlaceFieldAndValue) {
  const Malformed kRouteSpecs[] = {
      {"{\n  \"top_k\": 2,\n  \"num_experts\": \"eight\"\n}",
       R"(spec.json:3:18: num_experts: "eight" is not an integer)"},
      {"{\"num_experts\": 8.5}", R"(spec.json:1:17: num_experts: "8.5" is not an integer)"},
      {"{\"num_experts\": 3000000000}", R"(spec.json:1:17: num_experts: "3000000000" is out of the range of int32)"},
      {"{\"num_experts\": true}", R"(spec.json:1:17: num_experts: "true" is not an integer)"},
      {"{\"num_experts\": [8]}", "spec.json:1:17: num_experts: a list is not a single value"},
      {"{\"num_experts\": {\"value\": 8}}", "spec.json:1:17: num_experts: a set of fields is not a single value"},
      {"{\"num_experts\": 0x08}", R"(spec.json:1:17: num_experts: "0x08" is not an integer)"},
      {"top_k: 2\ntop_k: 2", R"(spec.json:2:1: "top_k" is given twice)"},
      {"top_k: 2\ntopK: 2", R"(spec.json:2:1: "topK" is given twice)"},
      {"top_k: null\ntop_k: 2", R"(spec.json:2:1: "top_k" is given twice)"},
      {"{\"score\": \"SIGMOD\"}",
       R"(spec.json:1:11: score: "SIGMOD" is none of SIGMOID, SOFTMAX, SQRT_SOFTPLUS, LOGIT)"},
      {"{\"score\": \"sigmoid\"}",
       R"(spec.json:1:11: score: "sigmoid" is none of SIGMOID, SOFTMAX, SQRT_SOFTPLUS, LOGIT)"},
      {"{\"dropped_group_fill\": 2}", R"(spec.json:1:24: dropped_group_fill: "2" is none of NEG_INF, ZERO)"},
      {"{\"normalize\": \"true\"}", R"(spec.json:1:15: normalize: "true" is not true or false)"},
      {"{\"normalize\": 1}", R"(spec.json:1:15: normalize: "1" is not true or false)"},
      {"normalize: yes", R"(spec.json:1:12: normalize: "yes" is not true or false)"},
      {"normalize: True", R"(spec.json:1:12: normalize: "True" is not true or false)"},
      {"{\"scale\": NaN}", R"(spec.json:1:11: scale: "NaN" is not a finite number)"},
      {"{\"scale\": \"Infinity\"}", R"(spec.json:1:11: scale: "Infinity" is not a finite number)"},
      {"scale: .nan", R"(spec.json:1:8: scale: ".nan" is not a finite number)"},
      {"scale: -.inf", R"(spec.json:1:8: scale: "-.inf" is not a finite number)"},
      {"scale: 1e39", R"(spec.json:1:8: scale: "1e39" is out of the range of float32)"},
      {"scale: 2.5x", R"(spec.json:1:8: scale: "2.5x" is not a number)"},
      {"[1]", "spec.json:1:1: the text: a list is not a set of fields"},
      {"num_experts=8", R"(spec.json:1:1: the text: "num_experts=8" is not a set of fields)"},
      {"", "spec.json: empty"},
      {"null", "spec.json: empty"},
      {"{\"num_experts\": 8", "spec.json:1:1: end of map flow not found"},
  };
  for (const Malformed& c : kRouteSpecs) ExpectRefused<v1::RouteSpec>(c);

  const Malformed kBalanceConfigs[] = {
      {"rates: 1",
       R"(spec.json:1:1: "rates" is no field; the fields are preset, rule, rate, schedule, momentum, ema_correction, )"
       "center, cap, cap_mode, warmup_steps, target, min_tokens, frozen"},
      {"rate: 1\nschedule:\n  kind: LINEAR\n  ends: 5",
       R"(spec.json:4:3: schedule: "ends" is no field; the fields are kind, begin, end, final_ratio, points)"},
      {"schedule: LINEAR", R"(spec.json:1:11: schedule: "LINEAR" is not a set of fields)"},
      {"schedule: {points: [{ratio: 1}, {ratio: half}]}",
       R"(spec.json:1:41: schedule.points[1].ratio: "half" is not a number)"},
      {"schedule: {points: {ratio: 1}}", "spec.json:1:20: schedule.points: a set of fields is not a list"},
      {"target: 0.5", R"(spec.json:1:9: target: "0.5" is not a list)"},
      {"target: [0.5, nan]", R"(spec.json:1:15: target[1]: "nan" is not a finite number)"},
      {"target: [0.5, null]", "spec.json:1:15: target[1]: null is not a single value"},
      {"warmup_steps: -1", R"(spec.json:1:15: warmup_steps: "-1" is out of the range of uint64)"},
      {"preset: 5", R"(spec.json:1:9: preset: "5" is not a string; put it in quotes)"},
      {"preset: true", R"(spec.json:1:9: preset: "true" is not a string; put it in quotes)"},
      {"center: &a NONE", "spec.json:1:9: anchors are not accepted"},
  };
  for (const Malformed& c : kBalanceConfigs) ExpectRefused<v1::BalanceConfig>(c);
}

TEST(TextTest, FieldsWithoutPresenceAreReadToo) {
  const auto spec = Parsed<v1::JobSpec>(
      "name: run/7\ncontributors: 4\nmode: OBSERVE\nlayers:\n  - {name: model.layers.3.mlp.gate, num_experts: 64}\n");
  EXPECT_EQ(spec.name(), "run/7");
  EXPECT_EQ(spec.mode(), v1::JobSpec::Mode::OBSERVE);
  EXPECT_EQ(spec.layers(0).num_experts(), 64);
}

class TextFileTest : public testing::Test {
 protected:
  void Write(absl::string_view text) { std::ofstream(path_, std::ios::binary) << text; }

  const std::string path_ = absl::StrCat(testing::TempDir(), "/text_test.yaml");
};

TEST_F(TextFileTest, ReadsAFileAndNamesItInErrors) {
  v1::BalanceConfig config;
  Write("preset: megatron\n");
  ASSERT_TRUE(ParseFile(path_, &config).ok());
  EXPECT_EQ(config.preset(), "megatron");

  Write("rate: fast\n");
  EXPECT_EQ(ParseFile(path_, &config).message(), absl::StrCat(path_, ":1:7: rate: \"fast\" is not a number"));
}

TEST_F(TextFileTest, MissingFoldersAndOversizedFilesAreErrors) {
  v1::BalanceConfig config;
  std::remove(path_.c_str());
  const absl::Status missing = ParseFile(path_, &config);
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), StartsWith(path_));

  const absl::Status folder = ParseFile(testing::TempDir(), &config);
  EXPECT_FALSE(folder.ok());
  EXPECT_THAT(std::string(folder.message()), StartsWith(testing::TempDir()));

  Write(absl::StrCat("preset: ", std::string((1 << 20) + 1, 'x')));
  EXPECT_THAT(std::string(ParseFile(path_, &config).message()), HasSubstr("that a text may have"));
}

}  // namespace
}  // namespace evenkeel::config
