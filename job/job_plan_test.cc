#include "job/job_plan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/balance_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/test_messages.h"

namespace evenkeel::job {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Spoil = std::function<void(v1::JobSpec*)>;

absl::StatusOr<JobPlan> Plan(const v1::JobSpec& spec, const v1::Limits& limits = v1::Limits()) {
  return PlanJob(spec, v1::BalanceConfig(), WithDefaults(limits));
}

absl::Status Refusal(const Spoil& spoil) {
  v1::JobSpec spec = TestSpec(2);
  spoil(&spec);
  return Plan(spec).status();
}

auto Invalid(const std::string& sentence) {
  return IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD, sentence);
}

auto NotBuiltYet(const std::string& sentence) {
  return IsRefusal(absl::StatusCode::kUnimplemented, v1::ErrorDetail::NOT_SUPPORTED, sentence);
}

template <typename Enum>
Enum Unknown() {
  return static_cast<Enum>(9);
}

// ---------------------------------------------------------------------------------------------------------------------
// What is refused

struct BadSpec {
  Spoil spoil;
  std::string sentence;
};

TEST(JobPlanTest, RefusesBadFieldsNamingFieldAndValue) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const BadSpec cases[] = {
      {[](v1::JobSpec* s) { s->clear_name(); }, "job.name has 0 bytes; 1 to 128"},
      {[](v1::JobSpec* s) { s->set_name(std::string(129, 'x')); }, "job.name has 129 bytes"},
      {[](v1::JobSpec* s) { s->set_name("a b"); }, "job.name: \"a b\" holds other characters"},
      {[](v1::JobSpec* s) { s->set_name(std::string("a\0", 2)); }, "job.name: \"a\\x00\" holds"},
      {[](v1::JobSpec* s) { s->set_name("a\nb"); }, "job.name: \"a\\nb\" holds"},
      {[](v1::JobSpec* s) { s->set_contributors(0); }, "job.contributors is 0; 1 to 65536"},
      {[](v1::JobSpec* s) { s->set_contributors(-3); }, "job.contributors is -3"},
      {[](v1::JobSpec* s) { s->set_contributors(65537); }, "job.contributors is 65537"},
      {[](v1::JobSpec* s) { s->clear_layers(); }, "job.layers is empty"},
      {[](v1::JobSpec* s) { s->set_mode(Unknown<v1::JobSpec::Mode::Kind>()); }, "job.mode: 9 is unknown"},
      {[](v1::JobSpec* s) { s->set_skip_policy(Unknown<v1::JobSpec::SkipPolicy::Kind>()); },
       "job.skip_policy: 9 is unknown"},
      {[](v1::JobSpec* s) { s->set_missing_policy(Unknown<v1::JobSpec::MissingPolicy::Kind>()); },
       "job.missing_policy: 9 is unknown"},
      {[](v1::JobSpec* s) { s->set_durability(Unknown<v1::JobSpec::Durability::Kind>()); },
       "job.durability: 9 is unknown"},
      {[](v1::JobSpec* s) { s->set_lag(-1); }, "job.lag is -1; 0 and 1"},
      {[](v1::JobSpec* s) { s->set_lag(2); }, "job.lag is 2"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->clear_name(); }, "job.layers.name has 0 bytes; 1 to 256"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_name(std::string(257, 'x')); }, "job.layers.name has 257 bytes"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_num_experts(0); }, "layer \"a\": num_experts is 0; 1 to 16384"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_num_experts(-4); }, "layer \"a\": num_experts is -4"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_num_experts(16385); }, "layer \"a\": num_experts is 16385"},
      {[](v1::JobSpec* s) { s->mutable_layers(1)->set_top_k(0); }, "layer \"b\": top_k is 0; 1 to num_experts (3)"},
      {[](v1::JobSpec* s) { s->mutable_layers(1)->set_top_k(4); }, "layer \"b\": top_k is 4"},
      {[](v1::JobSpec* s) { s->mutable_layers(1)->set_top_k(-1); }, "layer \"b\": top_k is -1"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_streams(-1); }, "layer \"a\": streams is -1; 0 to 16"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_streams(17); }, "layer \"a\": streams is 17; 0 to 16"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_accumulator(Unknown<v1::LayerSpec::Accumulator::Kind>()); },
       "layer \"a\": accumulator: 9 is unknown"},
      {[](v1::JobSpec* s) { s->mutable_layers(1)->set_name("a"); }, "job.layers: \"a\" is given twice"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->mutable_route()->set_num_experts(4); }, "layer \"a\": route: top_k"},
      {[](v1::JobSpec* s) {
         s->mutable_layers(0)->mutable_route()->set_num_experts(4);
         s->mutable_layers(0)->mutable_route()->set_top_k(3);
       },
       "layer \"a\": route has num_experts 4 and top_k 3, the layer 4 and 2"},
      {[](v1::JobSpec* s) {
         s->mutable_layers(0)->mutable_route()->set_num_experts(8);
         s->mutable_layers(0)->mutable_route()->set_top_k(2);
       },
       "layer \"a\": route has num_experts 8 and top_k 2, the layer 4 and 2"},
      {[](v1::JobSpec* s) { s->mutable_balance()->set_preset("magic"); }, "job.balance: preset: must be one of"},
      {[=](v1::JobSpec* s) { s->mutable_balance()->set_rate(nan); }, "job.balance: rate: must be 0 to 1e6, got nan"},
      {[](v1::JobSpec* s) { s->mutable_balance()->set_momentum(1); }, "job.balance: momentum"},
      {[](v1::JobSpec* s) { s->mutable_balance()->set_rule(Unknown<v1::BalanceConfig::Rule>()); },
       "job.balance: rule: 9"},
      {[](v1::JobSpec* s) {
         for (const float share : {0.5f, 0.25f, 0.25f}) s->mutable_balance()->add_target(share);
       },
       "balance of layer \"a\": target: must be num_experts = 4 entries, got 3"},
      {[](v1::JobSpec* s) { s->add_overrides()->set_layer("c"); }, "job.overrides: \"c\" is not a layer of the job"},
      {[](v1::JobSpec* s) { s->add_overrides(); }, "job.overrides: \"\" is not a layer of the job"},
      {[](v1::JobSpec* s) {
         s->add_overrides()->set_layer("a");
         s->add_overrides()->set_layer("a");
       },
       "job.overrides: \"a\" is not a layer of the job, or is given twice"},
      {[=](v1::JobSpec* s) {
         s->add_overrides()->set_layer("b");
         s->mutable_overrides(0)->mutable_balance()->set_cap(nan);
       },
       "balance of layer \"b\": cap: must be a finite float32, got nan"},
  };
  for (const BadSpec& bad : cases) EXPECT_THAT(Refusal(bad.spoil), Invalid(bad.sentence));
}

TEST(JobPlanTest, RefusesABadConfigThatEveryLayerOverrides) {
  EXPECT_THAT(Refusal([](v1::JobSpec* spec) {
                spec->mutable_balance()->set_rate(-1);
                for (const char* layer : {"a", "b"}) {
                  v1::LayerOverride* override = spec->add_overrides();
                  override->set_layer(layer);
                  override->mutable_balance()->set_rate(0.5);
                }
              }),
              Invalid("job.balance: rate: must be 0 to 1e6, got -1"));
}

TEST(JobPlanTest, SpellsMembershipOutAndChecksIt) {
  v1::JobSpec spec = TestSpec(2);
  spec.mutable_membership()->set_step_deadline_ms(0);
  const v1::Membership membership = TestPlan(spec).effective.membership();
  EXPECT_EQ(membership.heartbeat_timeout_ms(), 60'000u);
  EXPECT_EQ(membership.straggler_deadline_ms(), 30'000u);
  EXPECT_EQ(membership.step_deadline_ms(), 0u) << "absent and 0 are two things";
  EXPECT_EQ(membership.recovery_grace_ms(), 120'000u);
  EXPECT_EQ(membership.min_contributors(), 1);
  const BadSpec cases[] = {
      {[](v1::JobSpec* s) { s->mutable_membership()->set_heartbeat_timeout_ms(uint64_t{1} << 40); },
       "job.membership.heartbeat_timeout_ms is 1099511627776; 0 to 2592000000 (30 days) are allowed"},
      {[](v1::JobSpec* s) { s->mutable_membership()->set_min_contributors(0); },
       "job.membership.min_contributors is 0; 1 to 2 (job.contributors) are allowed"},
  };
  for (const BadSpec& bad : cases) EXPECT_THAT(Refusal(bad.spoil), Invalid(bad.sentence));
}

TEST(JobPlanTest, SaysWhatIsNotBuiltYet) {
  const BadSpec cases[] = {
      {[](v1::JobSpec* s) { s->set_durability(v1::JobSpec::Durability::NONE); },
       "job.durability 2 is not built yet; use SYNC"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_accumulator(v1::LayerSpec::Accumulator::HISTOGRAM); },
       "layer \"a\": accumulator 2 is not built yet"},
  };
  for (const BadSpec& bad : cases) EXPECT_THAT(Refusal(bad.spoil), NotBuiltYet(bad.sentence));
}

TEST(JobPlanTest, KeepsToTheLimits) {
  const auto over = [](const std::string& sentence) {
    return IsRefusal(absl::StatusCode::kResourceExhausted, v1::ErrorDetail::LIMIT_EXCEEDED, sentence);
  };
  const v1::JobSpec spec = TestSpec(2);
  v1::Limits limits;
  limits.set_max_contributors(2);
  limits.set_max_layers(2);
  limits.set_max_experts(7);
  EXPECT_TRUE(Plan(spec, limits).ok());

  limits.set_max_contributors(1);
  EXPECT_THAT(Plan(spec, limits).status(), over("job.contributors is 2, over this coordinator's "
                                                "limits.max_contributors of 1"));
  limits.set_max_contributors(2);
  limits.set_max_layers(1);
  EXPECT_THAT(Plan(spec, limits).status(), over("job.layers is 2, over this coordinator's limits.max_layers of 1"));
  limits.set_max_layers(2);
  limits.set_max_experts(6);
  EXPECT_THAT(Plan(spec, limits).status(),
              over("all job.layers is 7, over this coordinator's limits.max_experts of 6"));
}

TEST(JobPlanTest, ANegativeLayerDoesNotMakeRoomForOthers) {
  v1::JobSpec spec = TestSpec(1);
  spec.mutable_layers(0)->set_num_experts(std::numeric_limits<int>::min());
  for (int i = 0; i < 3; ++i) *spec.add_layers() = TestLayer(absl::StrCat("c", i), std::numeric_limits<int>::max(), 1);
  EXPECT_FALSE(Plan(spec).ok());
}

TEST(JobPlanTest, DefaultLimits) {
  const v1::Limits limits = WithDefaults(v1::Limits());
  EXPECT_EQ(limits.max_jobs(), 64);
  EXPECT_EQ(limits.max_contributors(), 4096);
  EXPECT_EQ(limits.max_layers(), 1024);
  EXPECT_EQ(limits.max_experts(), 262144);
  EXPECT_EQ(limits.max_message_bytes(), 4194304);
  v1::Limits own;
  own.set_max_layers(3);
  EXPECT_EQ(WithDefaults(own).max_layers(), 3);
  EXPECT_EQ(WithDefaults(own).max_jobs(), 64);
}

// ---------------------------------------------------------------------------------------------------------------------
// What a plan says

TEST(JobPlanTest, TakesEveryAllowedName) {
  for (const std::string& name : {std::string("a"), std::string(128, 'x'), std::string("AZaz09._/-")}) {
    v1::JobSpec spec = TestSpec(1);
    spec.set_name(name);
    EXPECT_TRUE(Plan(spec).ok()) << name;
  }
}

TEST(JobPlanTest, SpellsOutWhatTheSpecLeavesOpen) {
  v1::JobSpec spec = TestSpec(2);
  std::reverse(spec.mutable_layers()->begin(), spec.mutable_layers()->end());
  const absl::StatusOr<JobPlan> plan = Plan(spec);
  ASSERT_TRUE(plan.ok()) << plan.status();

  const v1::JobSpec& effective = plan->effective;
  EXPECT_EQ(effective.mode(), v1::JobSpec::Mode::BALANCE);
  EXPECT_EQ(effective.skip_policy(), v1::JobSpec::SkipPolicy::DROP);
  EXPECT_EQ(effective.missing_policy(), v1::JobSpec::MissingPolicy::WAIT);
  EXPECT_EQ(effective.durability(), v1::JobSpec::Durability::SYNC);
  ASSERT_EQ(effective.layers_size(), 2);
  EXPECT_EQ(effective.layers(0).name(), "a");
  EXPECT_EQ(effective.layers(1).name(), "b");
  for (const v1::LayerSpec& layer : effective.layers()) {
    EXPECT_EQ(layer.streams(), 1);
    EXPECT_EQ(layer.accumulator(), v1::LayerSpec::Accumulator::COUNT);
  }
  EXPECT_EQ(plan->layers.size(), 2);
  EXPECT_EQ(plan->layers.total_experts(), 7);

  const v1::BalanceConfig& balance = effective.balance();
  EXPECT_FALSE(balance.has_preset());
  EXPECT_EQ(balance.rule(), v1::BalanceConfig::PROPORTIONAL);
  EXPECT_EQ(balance.rate(), 1e-2);
  EXPECT_TRUE(balance.has_schedule() && balance.has_momentum() && balance.has_ema_correction() &&
              balance.has_center() && balance.has_cap() && balance.has_cap_mode() && balance.has_warmup_steps() &&
              balance.has_min_tokens() && balance.has_frozen());
}

TEST(JobPlanTest, StreamsOfALayerShareItsConfig) {
  v1::JobSpec spec = TestSpecWithStreams(1);
  v1::LayerOverride* override = spec.add_overrides();
  override->set_layer("a");
  override->mutable_balance()->set_rate(0.5);
  override = spec.add_overrides();
  override->set_layer("b");
  override->mutable_balance()->set_frozen(true);
  const absl::StatusOr<JobPlan> plan = Plan(spec);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->effective.layers(0).streams(), 2);
  EXPECT_EQ(plan->effective.layers(2).streams(), 1);
  ASSERT_EQ(plan->layers.size(), 4);
  EXPECT_EQ(plan->layers.total_experts(), 16);
  ASSERT_EQ(plan->balance.size(), 4u);
  EXPECT_EQ(plan->balance[0].rate, 0.5);
  EXPECT_EQ(plan->balance[1].rate, 0.5);
  EXPECT_TRUE(plan->balance[2].frozen);
  EXPECT_FALSE(plan->balance[3].frozen);
  EXPECT_EQ(plan->balance[3].rate, 1e-2);

  v1::Limits limits;
  limits.set_max_experts(16);
  EXPECT_TRUE(Plan(spec, limits).ok());
  limits.set_max_experts(15);
  EXPECT_FALSE(Plan(spec, limits).ok());
}

TEST(JobPlanTest, LayersSortByTheBytesOfTheirNames) {
  v1::JobSpec spec = TestSpec(1);
  *spec.add_layers() = TestLayer("\xc3\xa9", 2, 1);
  *spec.add_layers() = TestLayer("B", 2, 1);
  *spec.add_layers() = TestLayer("layer.10", 2, 1);
  *spec.add_layers() = TestLayer("layer.9", 2, 1);
  const absl::StatusOr<JobPlan> plan = Plan(spec);
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<std::string> names;
  for (const LayerTable::Row& layer : plan->layers.rows()) names.push_back(layer.name);
  EXPECT_THAT(names, ElementsAre("B", "a", "b", "layer.10", "layer.9", "\xc3\xa9"));
  for (const std::string& name : names) EXPECT_EQ(plan->layers[plan->layers.Find(name)].name, name);
}

TEST(JobPlanTest, JobsWithoutAConfigUseTheCoordinators) {
  v1::BalanceConfig fallback;
  fallback.set_preset("loss_free");
  v1::JobSpec spec = TestSpec(1);
  absl::StatusOr<JobPlan> plan = PlanJob(spec, fallback, WithDefaults({}));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->balance[0].rule, balance::Rule::kSign);
  EXPECT_EQ(plan->effective.balance().rule(), v1::BalanceConfig::SIGN);

  spec.mutable_balance()->set_rate(0.5);
  plan = PlanJob(spec, fallback, WithDefaults({}));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->balance[0].rule, balance::Rule::kProportional);
  EXPECT_EQ(plan->balance[0].rate, 0.5);
}

TEST(JobPlanTest, OverridesHoldForTheirLayerOnly) {
  v1::JobSpec spec = TestSpec(1);
  *spec.add_layers() = TestLayer("c", 2, 1);
  spec.mutable_balance()->set_preset("loss_free");
  spec.mutable_balance()->set_rate(0.25);
  v1::LayerOverride* fields = spec.add_overrides();
  fields->set_layer("c");
  fields->mutable_balance()->set_min_tokens(100);
  v1::LayerOverride* preset = spec.add_overrides();
  preset->set_layer("a");
  preset->mutable_balance()->set_preset("torchtitan");
  const absl::StatusOr<JobPlan> plan = Plan(spec);
  ASSERT_TRUE(plan.ok()) << plan.status();

  ASSERT_EQ(plan->balance.size(), 3u);
  // A preset replaces everything first ...
  EXPECT_EQ(plan->balance[0].center, balance::Center::kDelta);
  EXPECT_EQ(plan->balance[0].rate, 1e-3);
  EXPECT_EQ(plan->balance[1].rate, 0.25);
  EXPECT_EQ(plan->balance[1].min_tokens, 0u);
  // ... fields only themselves.
  EXPECT_EQ(plan->balance[2].rule, balance::Rule::kSign);
  EXPECT_EQ(plan->balance[2].rate, 0.25);
  EXPECT_EQ(plan->balance[2].min_tokens, 100u);
}

v1::JobSpec RichSpec() {
  v1::JobSpec spec = TestSpec(3);
  spec.set_lag(1);
  spec.set_mode(v1::JobSpec::Mode::FROZEN);
  spec.set_skip_policy(v1::JobSpec::SkipPolicy::APPLY);
  spec.mutable_balance()->set_preset("axolotl_noaux_tc");
  spec.mutable_balance()->mutable_schedule()->set_kind(v1::Schedule::STEPS);
  v1::Schedule::Point* point = spec.mutable_balance()->mutable_schedule()->add_points();
  point->set_from_position(10);
  point->set_ratio(0.1);
  spec.mutable_layers(0)->mutable_route()->set_num_experts(4);
  spec.mutable_layers(0)->mutable_route()->set_top_k(2);
  spec.mutable_layers(0)->mutable_route()->set_normalize_epsilon(1e-20f);
  v1::LayerOverride* override = spec.add_overrides();
  override->set_layer("b");
  for (const float share : {0.5f, 0.25f, -1.0f}) override->mutable_balance()->add_target(share);
  spec.add_overrides()->set_layer("a");
  return spec;
}

TEST(JobPlanTest, AStoredPlanIsThePlanItWas) {
  for (const v1::JobSpec& spec : {TestSpec(1), RichSpec()}) {
    const absl::StatusOr<JobPlan> plan = Plan(spec);
    ASSERT_TRUE(plan.ok()) << plan.status();
    v1::JobSpec stored;
    ASSERT_TRUE(stored.ParseFromString(plan->effective.SerializeAsString()));
    const absl::StatusOr<JobPlan> restored = PlanStoredJob(stored, plan->fingerprint);
    ASSERT_TRUE(restored.ok()) << restored.status();

    EXPECT_EQ(restored->effective.SerializeAsString(), plan->effective.SerializeAsString());
    EXPECT_EQ(restored->fingerprint, plan->fingerprint);
    ASSERT_EQ(restored->balance.size(), plan->balance.size());
    for (size_t i = 0; i < plan->balance.size(); ++i) {
      EXPECT_EQ(config::BalanceConfigToProto(restored->balance[i]).SerializeAsString(),
                config::BalanceConfigToProto(plan->balance[i]).SerializeAsString());
    }
  }
}

TEST(JobPlanTest, AStoredPlanThatIsNoneIsRefused) {
  const v1::JobSpec good = TestPlan(TestSpec(2)).effective;
  const BadSpec cases[] = {
      {[](v1::JobSpec* s) { s->clear_name(); }, "job.name has 0 bytes"},
      {[](v1::JobSpec* s) { s->set_contributors(-1); }, "job.contributors is -1"},
      {[](v1::JobSpec* s) { s->clear_layers(); }, "job.layers is empty"},
      {[](v1::JobSpec* s) { s->set_lag(3); }, "job.lag is 3"},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->set_top_k(5); }, "layer \"a\": top_k is 5"},
      {[](v1::JobSpec* s) { s->mutable_balance()->set_rate(-1); }, "balance of layer \"a\": rate"},
  };
  for (const BadSpec& bad : cases) {
    v1::JobSpec spec = good;
    bad.spoil(&spec);
    EXPECT_THAT(PlanStoredJob(spec, 1).status(), Invalid(bad.sentence));
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Fingerprints and differences

uint64_t FingerprintOf(const v1::JobSpec& spec) { return TestPlan(spec).fingerprint; }

TEST(JobPlanTest, FingerprintsDoNotSeeTheOrderOfLayersAndOverrides) {
  v1::JobSpec turned = RichSpec();
  std::reverse(turned.mutable_layers()->begin(), turned.mutable_layers()->end());
  std::reverse(turned.mutable_overrides()->begin(), turned.mutable_overrides()->end());
  EXPECT_EQ(FingerprintOf(turned), FingerprintOf(RichSpec()));
}

TEST(JobPlanTest, FingerprintsDoNotSeeHowADefaultIsWritten) {
  v1::JobSpec spelt = TestSpec(2);
  spelt.set_mode(v1::JobSpec::Mode::BALANCE);
  spelt.set_skip_policy(v1::JobSpec::SkipPolicy::DROP);
  spelt.set_missing_policy(v1::JobSpec::MissingPolicy::WAIT);
  spelt.set_durability(v1::JobSpec::Durability::SYNC);
  spelt.mutable_layers(0)->set_streams(1);
  spelt.mutable_layers(1)->set_accumulator(v1::LayerSpec::Accumulator::COUNT);
  EXPECT_EQ(FingerprintOf(spelt), FingerprintOf(TestSpec(2)));
}

TEST(JobPlanTest, FingerprintsDoNotSeeTheCoordinatorsDefault) {
  v1::BalanceConfig fallback;
  fallback.set_preset("loss_free");
  const absl::StatusOr<JobPlan> plan = PlanJob(TestSpec(2), fallback, WithDefaults({}));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->fingerprint, FingerprintOf(TestSpec(2)));
}

struct Change {
  Spoil make;
  const char* shown;
};

TEST(JobPlanTest, EveryDifferenceShowsAndIsReadable) {
  const Change changes[] = {
      {[](v1::JobSpec* s) { s->set_contributors(4); }, "contributors: 3 -> 4"},
      {[](v1::JobSpec* s) { s->set_lag(0); }, "deleted: lag: 1"},
      {[](v1::JobSpec* s) { s->set_mode(v1::JobSpec::Mode::OBSERVE); }, "mode: FROZEN -> OBSERVE"},
      {[](v1::JobSpec* s) { s->set_skip_policy(v1::JobSpec::SkipPolicy::DROP); }, "skip_policy: APPLY -> DROP"},
      {[](v1::JobSpec* s) { s->mutable_layers(1)->set_num_experts(5); }, "layers[1].num_experts: 3 -> 5"},
      {[](v1::JobSpec* s) { s->mutable_layers(1)->set_top_k(2); }, "layers[1].top_k: 1 -> 2"},
      {[](v1::JobSpec* s) { s->mutable_layers(1)->set_name("b2"); }, "layers[1].name: \"b\" -> \"b2\""},
      {[](v1::JobSpec* s) { s->mutable_layers(0)->mutable_route()->set_scale(2.5f); }, "layers[0].route.scale: 2.5"},
      {[](v1::JobSpec* s) { s->mutable_balance()->set_rate(0.5); }, "balance.rate: 0.01 -> 0.5"},
      {[](v1::JobSpec* s) { s->mutable_balance()->mutable_schedule()->mutable_points(0)->set_ratio(0.2); },
       "balance.schedule.points[0].ratio: 0.1 -> 0.2"},
      {[](v1::JobSpec* s) { s->mutable_overrides(0)->mutable_balance()->set_target(0, 0.125f); },
       "overrides[1].balance.target[0]: 0.5 -> 0.125"},
      {[](v1::JobSpec* s) { *s->add_layers() = TestLayer("c", 2, 1); }, "layers[2]: { name: \"c\" num_experts: 2"},
  };
  const JobPlan plan = TestPlan(RichSpec());
  EXPECT_EQ(FirstDifference(plan.effective, plan.effective), "");
  for (const Change& change : changes) {
    v1::JobSpec spec = RichSpec();
    change.make(&spec);
    // An override of a layer that is gone would be refused.
    for (v1::LayerOverride& override : *spec.mutable_overrides()) {
      if (override.layer() == "b") override.set_layer(spec.layers(1).name());
    }
    if (spec.layers(1).num_experts() == 5) spec.mutable_overrides(0)->mutable_balance()->clear_target();
    const JobPlan changed = TestPlan(spec);
    EXPECT_NE(changed.fingerprint, plan.fingerprint) << change.shown;
    const std::string difference = FirstDifference(plan.effective, changed.effective);
    EXPECT_THAT(difference, HasSubstr(change.shown));
    EXPECT_THAT(difference, testing::Not(HasSubstr("\n")));
  }
}

TEST(JobPlanTest, ADefaultWrittenOutIsNoDifference) {
  v1::JobSpec spelt = TestSpec(2);
  spelt.mutable_balance()->set_preset("evenkeel");
  EXPECT_EQ(FirstDifference(TestPlan(TestSpec(2)).effective, TestPlan(spelt).effective), "");
}

}  // namespace
}  // namespace evenkeel::job
