#include "config/balance_config.h"

#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "config/text.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"

namespace evenkeel::config {
namespace {

using testing::ElementsAre;

absl::StatusOr<balance::BalanceConfig> FromText(absl::string_view text) {
  v1::BalanceConfig message;
  const absl::Status status = ParseText(text, "t", &message);
  EXPECT_TRUE(status.ok()) << status;
  return BalanceConfigFromProto(message);
}

void ExpectEqual(const balance::BalanceConfig& a, const balance::BalanceConfig& b) {
  EXPECT_EQ(a.rule, b.rule);
  EXPECT_EQ(a.rate, b.rate);
  EXPECT_EQ(a.schedule.kind, b.schedule.kind);
  EXPECT_EQ(a.schedule.begin, b.schedule.begin);
  EXPECT_EQ(a.schedule.end, b.schedule.end);
  EXPECT_EQ(a.schedule.final_ratio, b.schedule.final_ratio);
  ASSERT_EQ(a.schedule.points.size(), b.schedule.points.size());
  for (size_t i = 0; i < a.schedule.points.size(); ++i) {
    EXPECT_EQ(a.schedule.points[i].from_position, b.schedule.points[i].from_position);
    EXPECT_EQ(a.schedule.points[i].ratio, b.schedule.points[i].ratio);
  }
  EXPECT_EQ(a.momentum, b.momentum);
  EXPECT_EQ(a.ema_correction, b.ema_correction);
  EXPECT_EQ(a.center, b.center);
  EXPECT_EQ(a.cap, b.cap);
  EXPECT_EQ(a.cap_mode, b.cap_mode);
  EXPECT_EQ(a.warmup_steps, b.warmup_steps);
  EXPECT_EQ(a.target, b.target);
  EXPECT_EQ(a.min_tokens, b.min_tokens);
  EXPECT_EQ(a.frozen, b.frozen);
}

TEST(BalanceConfigTest, AbsentFieldsHaveThePresetsValues) {
  ExpectEqual(BalanceConfigFromProto(v1::BalanceConfig()).value(), balance::FromPreset("evenkeel").value());
  for (const absl::string_view preset : balance::PresetNames()) {
    SCOPED_TRACE(preset);
    ExpectEqual(FromText(absl::StrCat("preset: ", preset)).value(), balance::FromPreset(preset).value());
  }
}

TEST(BalanceConfigTest, PresentFieldsGoOnTopOfThePreset) {
  const balance::BalanceConfig config =
      FromText(
          "{preset: axolotl_noaux_tc, rule: SIGN, rate: 0, cap: 0, cap_mode: DEVIATION, center: NONE, momentum: 0, "
          "ema_correction: true, warmup_steps: 7, min_tokens: 9, frozen: true, target: [0.5, -1], "
          "schedule: {kind: COSINE, begin: 10, end: 20, final_ratio: 0.25}}")
          .value();
  EXPECT_EQ(config.rule, balance::Rule::kSign);
  EXPECT_EQ(config.rate, 0);
  EXPECT_EQ(config.cap, 0);
  EXPECT_EQ(config.cap_mode, balance::CapMode::kDeviation);
  EXPECT_EQ(config.center, balance::Center::kNone);
  EXPECT_EQ(config.momentum, 0);
  EXPECT_TRUE(config.ema_correction);
  EXPECT_EQ(config.warmup_steps, 7);
  EXPECT_EQ(config.min_tokens, 9);
  EXPECT_TRUE(config.frozen);
  EXPECT_THAT(config.target, ElementsAre(0.5f, -1.0f));
  EXPECT_EQ(config.schedule.kind, balance::Schedule::Kind::kCosine);
  EXPECT_EQ(config.schedule.begin, 10);
  EXPECT_EQ(config.schedule.end, 20);
  EXPECT_EQ(config.schedule.final_ratio, 0.25);
}

TEST(BalanceConfigTest, UnknownAndMissingValuesAreNamed) {
  const struct {
    absl::string_view text;
    std::string message;
  } kCases[] = {
      {"preset: loss_fee",
       "preset: must be one of loss_free, deepseek_v3, megatron, torchtitan, axolotl_noaux_tc, evenkeel, got "
       "\"loss_fee\""},
      {"preset: ''",
       "preset: must be one of loss_free, deepseek_v3, megatron, torchtitan, axolotl_noaux_tc, evenkeel, got \"\""},
      {"rule: RULE_UNSPECIFIED", "rule: RULE_UNSPECIFIED is none of SIGN, FREQUENCY, PROPORTIONAL"},
      {"center: CENTER_UNSPECIFIED", "center: CENTER_UNSPECIFIED is none of NONE, DELTA, STATE"},
      {"cap_mode: CAP_MODE_UNSPECIFIED", "cap_mode: CAP_MODE_UNSPECIFIED is none of ABSOLUTE, DEVIATION"},
      {"schedule: {kind: KIND_UNSPECIFIED}",
       "schedule.kind: KIND_UNSPECIFIED is none of CONSTANT, LINEAR, COSINE, STEPS, TO_ZERO"},
      {"schedule: {begin: 5}", "schedule.kind: missing"},
      {"schedule: {kind: STEPS, points: [{from_position: 1, ratio: 1}, {ratio: 2}]}",
       "schedule.points[1].from_position: missing"},
      {"schedule: {kind: STEPS, points: [{from_position: 1}]}", "schedule.points[0].ratio: missing"},
  };
  for (const auto& c : kCases) {
    const absl::Status status = FromText(c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_EQ(std::string(status.message()), c.message) << c.text;
  }

  v1::BalanceConfig from_a_later_version;
  from_a_later_version.set_rule(static_cast<v1::BalanceConfig::Rule>(17));
  EXPECT_EQ(BalanceConfigFromProto(from_a_later_version).status().message(),
            "rule: 17 is none of SIGN, FREQUENCY, PROPORTIONAL");
}

balance::BalanceConfig RandomConfig(std::mt19937* random) {
  const auto below = [random](uint32_t bound) { return (*random)() % bound; };
  const auto share = [random] { return static_cast<double>((*random)()) / 4294967296.0; };
  balance::BalanceConfig config;
  config.rule = static_cast<balance::Rule>(below(3));
  config.rate = share();
  config.schedule.kind = static_cast<balance::Schedule::Kind>(below(5));
  config.schedule.begin = (uint64_t{(*random)()} << 32) | (*random)();
  config.schedule.end = below(100);
  config.schedule.final_ratio = share();
  for (uint32_t i = below(4); i > 0; --i) config.schedule.points.push_back({below(1000), share()});
  config.momentum = share();
  config.ema_correction = below(2) == 0;
  config.center = static_cast<balance::Center>(below(3));
  config.cap = share() - 0.5;
  config.cap_mode = static_cast<balance::CapMode>(below(2));
  config.warmup_steps = below(1000);
  for (uint32_t i = below(6); i > 0; --i) config.target.push_back(static_cast<float>(share() - 0.1));
  config.min_tokens = below(1000);
  config.frozen = below(2) == 0;
  return config;
}

TEST(BalanceConfigTest, EveryConfigSurvivesMessageAndText) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const balance::BalanceConfig config = RandomConfig(&random);
    const v1::BalanceConfig message = BalanceConfigToProto(config);
    EXPECT_FALSE(message.has_preset());
    ExpectEqual(BalanceConfigFromProto(message).value(), config);

    std::string json;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(message, &json).ok());
    ExpectEqual(FromText(json).value(), config);
  }
}

TEST(BalanceConfigTest, OverridesReplaceWhatTheyNameAndPresetsEverything) {
  v1::BalanceConfig base;
  base.set_preset("torchtitan");
  base.set_rate(0.5);
  base.set_cap(3);
  base.add_target(0.25);
  base.add_target(0.75);
  base.mutable_schedule()->set_kind(v1::Schedule::LINEAR);
  base.mutable_schedule()->set_end(100);

  EXPECT_EQ(Overridden(base, v1::BalanceConfig()).SerializeAsString(), base.SerializeAsString());

  v1::BalanceConfig fields;
  fields.set_rate(0);
  fields.add_target(1);
  fields.mutable_schedule()->set_kind(v1::Schedule::TO_ZERO);
  const v1::BalanceConfig overridden = Overridden(base, fields);
  EXPECT_EQ(overridden.preset(), "torchtitan");
  EXPECT_TRUE(overridden.has_rate());
  EXPECT_EQ(overridden.rate(), 0);
  EXPECT_EQ(overridden.cap(), 3);
  EXPECT_THAT(overridden.target(), ElementsAre(1.0f));
  EXPECT_EQ(overridden.schedule().kind(), v1::Schedule::TO_ZERO);
  EXPECT_FALSE(overridden.schedule().has_end());

  fields.set_preset("megatron");
  EXPECT_EQ(Overridden(base, fields).SerializeAsString(), fields.SerializeAsString());
}

}  // namespace
}  // namespace evenkeel::config
