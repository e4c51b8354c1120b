#include "kernels/balance/balance_config.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::balance {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kExperts = 4;

BalanceConfig Preset(absl::string_view name) { return FromPreset(name).value(); }

std::string Message(const BalanceConfig& config, int num_experts = kExperts) {
  const absl::Status status = Validate(config, num_experts);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(PresetTest, NamesAreThoseOfTheTable) {
  EXPECT_THAT(PresetNames(),
              ElementsAre("loss_free", "deepseek_v3", "megatron", "torchtitan", "axolotl_noaux_tc", "evenkeel"));
}

TEST(PresetTest, EveryPresetIsValid) {
  for (const absl::string_view name : PresetNames()) {
    for (const int num_experts : {1, 8, kMaxExperts}) EXPECT_EQ(Message(Preset(name), num_experts), "") << name;
  }
}

TEST(PresetTest, SignPresets) {
  for (const absl::string_view name : {"loss_free", "deepseek_v3", "megatron", "torchtitan"}) {
    const BalanceConfig config = Preset(name);
    EXPECT_EQ(config.rule, Rule::kSign) << name;
    EXPECT_EQ(config.rate, 1e-3) << name;
    EXPECT_EQ(config.momentum, 0) << name;
    EXPECT_LE(config.cap, 0) << name;
    EXPECT_EQ(config.center, name == "torchtitan" ? Center::kDelta : Center::kNone) << name;
  }
}

TEST(PresetTest, AxolotlNoauxTc) {
  const BalanceConfig config = Preset("axolotl_noaux_tc");
  EXPECT_EQ(config.rule, Rule::kFrequency);
  EXPECT_EQ(config.rate, 0.01);
  EXPECT_EQ(config.momentum, 0.9);
  EXPECT_FALSE(config.ema_correction);
  EXPECT_EQ(config.center, Center::kDelta);
  EXPECT_EQ(config.cap, 2.0);
  EXPECT_EQ(config.cap_mode, CapMode::kAbsolute);
  EXPECT_EQ(config.warmup_steps, 0);
}

TEST(PresetTest, EvenkeelIsTheDefault) {
  for (const BalanceConfig& config : {Preset("evenkeel"), BalanceConfig()}) {
    EXPECT_EQ(config.rule, Rule::kProportional);
    EXPECT_EQ(config.rate, 0.01);
    EXPECT_EQ(config.momentum, 0.9);
    EXPECT_TRUE(config.ema_correction);
    EXPECT_EQ(config.center, Center::kState);
    EXPECT_EQ(config.cap, 2.0);
    EXPECT_EQ(config.cap_mode, CapMode::kDeviation);
  }
}

TEST(PresetTest, AnUnknownNameIsRefusedWithTheKnownOnes) {
  for (const absl::string_view name : {"", "Evenkeel", "loss_free ", "rms"}) {
    const absl::Status status = FromPreset(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("preset"), HasSubstr("\"" + std::string(name) + "\""),
                      HasSubstr("loss_free, deepseek_v3, megatron, torchtitan, axolotl_noaux_tc, evenkeel")));
  }
}

struct Refusal {
  std::function<void(BalanceConfig&)> spoil;
  std::string field;
  std::string value;
};

void ExpectRefused(const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    BalanceConfig config;
    refusal.spoil(config);
    EXPECT_THAT(Message(config), AllOf(testing::StartsWith(refusal.field + ": "), HasSubstr("got " + refusal.value)))
        << refusal.field;
  }
}

TEST(ValidateTest, NumExperts) {
  EXPECT_EQ(Message(BalanceConfig(), 1), "");
  EXPECT_EQ(Message(BalanceConfig(), 16384), "");
  for (const int num_experts : {-1, 0, 16385}) {
    EXPECT_THAT(Message(BalanceConfig(), num_experts),
                AllOf(HasSubstr("num_experts"), HasSubstr(std::to_string(num_experts))));
  }
}

TEST(ValidateTest, NotANumberAndInfinityAreRefusedEverywhere) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    const std::string value = bad == kInfinity ? "inf" : bad == -kInfinity ? "-inf" : "nan";
    ExpectRefused({
        {[&](auto& config) { config.rate = bad; }, "rate", value},
        {[&](auto& config) { config.momentum = bad; }, "momentum", value},
        {[&](auto& config) { config.cap = bad; }, "cap", value},
        {[&](auto& config) { config.schedule.final_ratio = bad; }, "schedule.final_ratio", value},
        {[&](auto& config) {
           config.schedule.points = {{1, 1.0}, {2, bad}};
         },
         "schedule.points[1].ratio", value},
        {[&](auto& config) {
           config.target = {0.25f, 0.25f, static_cast<float>(bad), 0.25f};
         },
         "target[2]", value},
    });
  }
}

TEST(ValidateTest, Ranges) {
  ExpectRefused({
      {[](auto& config) { config.rate = -1e-3; }, "rate", "-0.001"},
      {[](auto& config) { config.rate = 1.5e6; }, "rate", "1500000"},
      {[](auto& config) { config.momentum = -0.1; }, "momentum", "-0.1"},
      {[](auto& config) { config.momentum = 1; }, "momentum", "1"},
      {[](auto& config) { config.momentum = 0.99999999; }, "momentum", "0.99999999"},  // 1 as float32
      {[](auto& config) { config.cap = 1e39; }, "cap", "1e+39"},
      {[](auto& config) { config.cap = 1e-60; }, "cap", "1e-60"},
  });
  for (const double rate : {0.0, 1e-300, 1e6}) {
    BalanceConfig config;
    config.rate = rate;
    EXPECT_EQ(Message(config), "");
  }
  for (const double cap : {-5.0, 0.0, 1e-3, 1e30}) {
    BalanceConfig config;
    config.cap = cap;
    EXPECT_EQ(Message(config), "");
  }
}

TEST(ValidateTest, Schedules) {
  using Kind = Schedule::Kind;
  const auto with = [](Schedule schedule) { return [schedule](BalanceConfig& config) { config.schedule = schedule; }; };
  ExpectRefused({
      {with({Kind::kLinear, 0, 0, 0, {}}), "schedule.end", "0"},
      {with({Kind::kLinear, 9, 9, 0, {}}), "schedule.end", "9"},
      {with({Kind::kCosine, 9, 8, 0, {}}), "schedule.end", "8"},
      {with({Kind::kCosine, 1, 9, -0.5, {}}), "schedule.final_ratio", "-0.5"},
      {with({Kind::kLinear, 1, 9, 1e9, {}}), "schedule.final_ratio", "1e+09"},
      {with({Kind::kToZero, 0, 0, 0, {}}), "schedule.begin", "0"},
      {with({Kind::kSteps, 0, 0, 0, {}}), "schedule.points", "0"},
      {with({Kind::kSteps, 0, 0, 0, {{5, 1}, {5, 0.1}}}), "schedule.points[1].from_position", "5"},
      {with({Kind::kSteps, 0, 0, 0, {{5, 1}, {4, 0.1}}}), "schedule.points[1].from_position", "4"},
      {with({Kind::kSteps, 0, 0, 0, {{5, -1}}}), "schedule.points[0].ratio", "-1"},
  });
  for (const Schedule& schedule : std::vector<Schedule>{{Kind::kConstant, 9, 3, 0, {}},
                                                        {Kind::kLinear, 0, 1, 2, {}},
                                                        {Kind::kCosine, 5, 6, 0, {}},
                                                        {Kind::kToZero, 1, 0, 0, {}},
                                                        {Kind::kSteps, 0, 0, 0, {{0, 0.5}, {7, 0}}}}) {
    BalanceConfig config;
    config.schedule = schedule;
    EXPECT_EQ(Message(config), "");
  }
}

TEST(ValidateTest, Targets) {
  const auto with = [](std::vector<float> target) {
    return [target](BalanceConfig& config) { config.target = target; };
  };
  ExpectRefused({
      {with({0.5f, 0.5f}), "target", "2"},
      {with({0.25f, 0.25f, 1.5f, -1}), "target[2]", "1.5"},
      {with({-1, -1, -1, -0.25f}), "target[0]", "-1"},
      {with({0.5f, 0.25f, 0.25f, 0.25f}), "target", "1.25"},
      {with({0.5f, 0.0f, 0.25f, 0.25f}), "target[1]", "0"},
      {with({0.5f, 1e-10f, 0.25f, 0.25f}), "target[1]", "1e-10"},
  });
  BalanceConfig config;
  for (const std::vector<float>& target :
       std::vector<std::vector<float>>{{}, {0.25f, 0.25f, 0.25f, 0.25f}, {0.1f, -1, -3, 0.1f}, {1, -1, -1, -1}}) {
    config.target = target;
    EXPECT_EQ(Message(config), "");
  }
}

TEST(ValidateTest, AZeroTargetIsRefusedOnlyByTheRuleThatDividesByIt) {
  BalanceConfig config;
  config.target = {0.5f, 0.0f, 0.5f, -1};
  EXPECT_THAT(Message(config), AllOf(HasSubstr("PROPORTIONAL"), HasSubstr("negative")));
  for (const Rule rule : {Rule::kSign, Rule::kFrequency}) {
    config.rule = rule;
    EXPECT_EQ(Message(config), "");
  }
}

TEST(ValidateTest, SharesRoundedToFloatMayAddUpToJustOverOne) {
  BalanceConfig config;
  config.target.assign(16384, std::nextafter(1.0f / 16384, 1.0f));
  EXPECT_EQ(Message(config, 16384), "");
}

}  // namespace
}  // namespace evenkeel::balance
