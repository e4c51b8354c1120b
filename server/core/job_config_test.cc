// Config that changes while a job runs. One test for each sentence of the contract, and random histories against a
// plain reference.

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "config/balance_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/test_messages.h"
#include "server/core/job_bench.h"
#include "server/core/simulation/random.h"

namespace evenkeel::core {
namespace {

using ::testing::SizeIs;

using Code = absl::StatusCode;
using Mode = v1::JobSpec::Mode;
using Reason = v1::ErrorDetail;

v1::UpdateConfigRequest Rate(uint64_t from_step, double rate) {
  v1::UpdateConfigRequest request;
  request.set_from_step(from_step);
  request.mutable_balance()->set_rate(rate);
  return request;
}

v1::JobSpec WithRate(v1::JobSpec spec, double rate) {
  spec.mutable_balance()->set_rate(rate);
  return spec;
}

TEST(JobConfigTest, AChangeHoldsFromItsStepOn) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(2);
  const auto response = bench.UpdateConfig(Rate(5, .25));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->effective().balance().rate(), .01) << "step 3 is open";
  ASSERT_THAT(response->changes(), SizeIs(2));
  EXPECT_EQ(response->changes(1).from_step(), 5u);
  bench.ExpectBalancing({{5, WithRate(job::TestSpec(2), .25)}});
  for (uint64_t step = 3; step <= 8; ++step) {
    bench.PushAll();
    ASSERT_TRUE(bench.IsAt(step)) << step;
    EXPECT_EQ(bench.job().State().spec().balance().rate(), step < 5 ? .01 : .25);
  }
  EXPECT_EQ(bench.job().Describe().effective().balance().rate(), .25);
  EXPECT_THAT(bench.job().Describe().changes(), SizeIs(2));
}

TEST(JobConfigTest, AChangeFromTheOpenStepHoldsThoughSomeHavePushedIt) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(2);
  bench.Push(0, 3);
  const auto response = bench.UpdateConfig(Rate(0, .25));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->effective().balance().rate(), .25);
  bench.Push(1, 3);
  bench.ExpectBalancing({{3, WithRate(job::TestSpec(2), .25)}});
  EXPECT_TRUE(bench.IsAt(3));
}

TEST(JobConfigTest, AChangeIsOnDiskBeforeItIsAnswered) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(2);
  ASSERT_TRUE(bench.UpdateConfig(Rate(5, .25)).ok());
  bench.Restart();
  bench.JoinAll();
  bench.PushAllUntil(4);
  bench.Restart();
  bench.JoinAll();
  bench.PushAllUntil(6);
  bench.ExpectBalancing({{5, WithRate(job::TestSpec(1), .25)}});
  EXPECT_TRUE(bench.IsAt(6));
}

TEST(JobConfigTest, TheSameRequestTwiceWritesOnce) {
  JobBench bench(job::TestSpec(1));
  Effects effects;
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(bench.job().UpdateConfig(absl::UnixEpoch(), Rate(5, .25), &effects).ok());
  EXPECT_THAT(effects.writes, SizeIs(1));
}

TEST(JobConfigTest, AnOldStepIsRefusedAndNamesTheOpenOne) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  const absl::Status status = bench.UpdateConfig(Rate(3, .25)).status();
  EXPECT_THAT(status, job::IsRefusal(Code::kFailedPrecondition, Reason::STEP_BEHIND, "from_step is 3"));
  EXPECT_EQ(DetailOf(status).open_step(), 4u);
}

TEST(JobConfigTest, ARequestAsksForSomethingAndForOneThing) {
  JobBench bench(job::TestSpec(1));
  EXPECT_THAT(bench.UpdateConfig({}).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "asks for nothing"));
  v1::UpdateConfigRequest both = Rate(0, .25);
  both.set_undo(true);
  EXPECT_THAT(bench.UpdateConfig(both).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "whatever else"));
}

TEST(JobConfigTest, WorkersThatKnowTheOldSpecOrTheNewOneMayJoin) {
  const v1::JobSpec spec = job::TestSpec(2);
  JobBench bench(spec);
  bench.JoinAll();
  bench.PushAllUntil(2);
  ASSERT_TRUE(bench.UpdateConfig(Rate(0, .25)).ok());
  v1::JoinRequest join = bench.JoinOf(0);
  EXPECT_TRUE(bench.Join(join).ok()) << "with what the job was made with";
  // The same in other words.
  *join.mutable_job()->mutable_balance() = job::TestPlan(spec).effective.balance();
  EXPECT_TRUE(bench.Join(join).ok());
  join.mutable_job()->mutable_balance()->set_rate(.25);
  const auto response = bench.Join(join);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->effective().balance().rate(), .25);
  join.mutable_job()->mutable_balance()->set_rate(.125);
  EXPECT_THAT(bench.Join(join).status(), job::IsRefusal(Code::kFailedPrecondition, Reason::SPEC_MISMATCH,
                                                        "modified: balance.rate: 0.25 -> 0.125"));
}

TEST(JobConfigTest, AChangedRuleBeginsTheEmaAnewThoughTheStepIsSkipped) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  ASSERT_LT(bench.job().State().layers(0).ema_product(), 1);
  v1::UpdateConfigRequest request;
  request.mutable_balance()->set_rule(v1::BalanceConfig::SIGN);
  ASSERT_TRUE(bench.UpdateConfig(request).ok());
  v1::PushRequest push = bench.PushOf(0, 4);
  push.set_ok(false);
  bench.Push(push);
  for (int life = 0; life < 2; ++life) {
    const v1::JobState state = bench.job().State();
    for (const v1::LayerState& layer : state.layers()) {
      EXPECT_EQ(layer.ema_product(), 1);
      EXPECT_THAT(layer.ema(), testing::Each(0));
    }
    bench.Restart();
  }
}

// A layer that is frozen must not be updated all the same.
TEST(JobConfigTest, Pitfall15AFrozenLayerNeverMoves) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  const v1::JobState before = bench.job().State();
  v1::UpdateConfigRequest request;
  v1::LayerOverride* layer = request.add_overrides();
  layer->set_layer("a");
  layer->mutable_balance()->set_frozen(true);
  ASSERT_TRUE(bench.UpdateConfig(request).ok());
  bench.PushAllUntil(12);
  const v1::JobState after = bench.job().State();
  EXPECT_THAT(after.layers(0).bias(), testing::ElementsAreArray(before.layers(0).bias()));
  EXPECT_THAT(after.layers(0).ema(), testing::ElementsAreArray(before.layers(0).ema()));
  EXPECT_EQ(after.layers(0).last_reason(), v1::UpdateReason::FROZEN);
  EXPECT_NE(after.layers(1).SerializeAsString(), before.layers(1).SerializeAsString()) << "the other goes on";
}

// A run that hands its model over, to a rollout say, needs its bias to stand still, and to know that it does.
TEST(JobConfigTest, Pitfall25FreezingAJobIsOneCall) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  const v1::JobState before = bench.job().State();
  v1::UpdateConfigRequest freeze;
  freeze.set_mode(Mode::FROZEN);
  ASSERT_TRUE(bench.UpdateConfig(freeze).ok());
  bench.PushAllUntil(9);
  const v1::JobState frozen = bench.job().State();
  for (int i = 0; i < frozen.layers_size(); ++i) {
    EXPECT_THAT(frozen.layers(i).bias(), testing::ElementsAreArray(before.layers(i).bias()));
    EXPECT_EQ(frozen.layers(i).last_reason(), v1::UpdateReason::FROZEN);
    EXPECT_EQ(frozen.layers(i).last_commit(), 9u) << "it is still counted";
  }
  v1::UpdateConfigRequest unfreeze;
  unfreeze.set_mode(Mode::BALANCE);
  ASSERT_TRUE(bench.UpdateConfig(unfreeze).ok());
  bench.PushAllUntil(10);
  EXPECT_EQ(bench.job().State().layers(0).last_reason(), v1::UpdateReason::MOVED);
}

TEST(JobConfigTest, ResumeEndsAHalt) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  // A state that was stored while the job was halted.
  v1::JobState halted = bench.job().State();
  halted.mutable_halt()->set_step(3);
  Effects halt;
  halt.writes.push_back({"job", std::make_shared<const v1::JobState>(halted), 1, {}, {}});
  bench.Carry(std::move(halt));
  bench.Restart();
  ASSERT_TRUE(bench.job().State().has_halt());
  EXPECT_EQ(bench.job().Describe().halt().step(), 3u);
  v1::UpdateConfigRequest resume;
  resume.set_resume(true);
  ASSERT_TRUE(bench.UpdateConfig(resume).ok());
  EXPECT_FALSE(bench.job().State().has_halt());
  bench.Restart();
  EXPECT_FALSE(bench.job().State().has_halt()) << "for good";
  EXPECT_TRUE(bench.UpdateConfig(resume).ok()) << "a second time is no error";
}

// ---------------------------------------------------------------------------------------------------------------------
// Random histories

// What an operator may ask for; what is absent stays.
struct Wish {
  std::optional<double> rate;
  std::optional<v1::BalanceConfig::Rule> rule;
  std::optional<double> rate_of_b;
  std::optional<bool> frozen_a;
  std::optional<Mode::Kind> mode;
};

Wish DrawWish(simulation::Random* random) {
  Wish wish;
  switch (random->Between(0, 4)) {
    case 0:
      wish.rate = random->OneOf({0.0, .001, .25});
      break;
    case 1:
      wish.rule =
          random->OneOf({v1::BalanceConfig::SIGN, v1::BalanceConfig::FREQUENCY, v1::BalanceConfig::PROPORTIONAL});
      break;
    case 2:
      wish.rate_of_b = random->OneOf({.5, .125});
      break;
    case 3:
      wish.frozen_a = random->Percent(50);
      break;
    case 4:
      wish.mode = random->OneOf({Mode::BALANCE, Mode::FROZEN});
      break;
  }
  return wish;
}

v1::BalanceConfig* OverrideOf(const std::string& name,
                              google::protobuf::RepeatedPtrField<v1::LayerOverride>* overrides) {
  for (v1::LayerOverride& layer : *overrides) {
    if (layer.layer() == name) return layer.mutable_balance();
  }
  v1::LayerOverride* added = overrides->Add();
  added->set_layer(name);
  return added->mutable_balance();
}

// The wish, as fields of a spec or of a request.
template <typename Message>
void Grant(const Wish& wish, Message* message) {
  if (wish.rate) message->mutable_balance()->set_rate(*wish.rate);
  if (wish.rule) message->mutable_balance()->set_rule(*wish.rule);
  if (wish.rate_of_b) OverrideOf("b", message->mutable_overrides())->set_rate(*wish.rate_of_b);
  if (wish.frozen_a) OverrideOf("a", message->mutable_overrides())->set_frozen(*wish.frozen_a);
  if (wish.mode) message->set_mode(*wish.mode);
}

// What must hold at each step, kept in the plainest way: the spec of every step from which one was asked for.
class PlainTimeline {
 public:
  explicit PlainTimeline(const v1::JobSpec& spec) : specs_({{0, spec}}) {}

  void Change(uint64_t from_step, const Wish& wish) {
    v1::JobSpec spec = std::prev(specs_.upper_bound(from_step))->second;
    const std::string before = Effective(spec);
    Grant(wish, &spec);
    if (Effective(spec) != before) specs_[from_step] = spec;
  }

  bool CanUndo() const { return specs_.size() > 1; }
  void Undo(uint64_t from_step, uint64_t open_step) {
    const auto newest = std::prev(specs_.end());
    if (newest->first >= open_step) {
      specs_.erase(newest);
    } else {
      const v1::JobSpec before = std::prev(newest)->second;
      specs_[from_step] = before;
    }
  }

  const std::map<uint64_t, v1::JobSpec>& specs() const { return specs_; }

 private:
  static std::string Effective(const v1::JobSpec& spec) { return job::TestPlan(spec).effective.SerializeAsString(); }

  std::map<uint64_t, v1::JobSpec> specs_;
};

// One change, undo or repetition, on both sides.
void ChangeSomething(simulation::Random* random, JobBench* bench, PlainTimeline* plain) {
  const uint64_t open_step = bench->job().open_step();
  const uint64_t from_step = open_step + random->Between(0, 4);
  v1::UpdateConfigRequest request;
  request.set_from_step(random->Percent(50) || from_step > open_step ? from_step : 0);
  const bool undo = plain->CanUndo() && random->Percent(25);
  if (undo) {
    request.set_undo(true);
    plain->Undo(from_step, open_step);
  } else {
    const Wish wish = DrawWish(random);
    Grant(wish, &request);
    plain->Change(from_step, wish);
  }
  const auto response = bench->UpdateConfig(request);
  ASSERT_TRUE(response.ok()) << response.status();
  if (!undo && random->Percent(30)) {
    ASSERT_TRUE(bench->UpdateConfig(request).ok()) << "again";
  }
}

// A step of all contributors; some have not heard of the newest versions.
void PushStep(simulation::Random* random, int contributors, JobBench* bench) {
  const uint64_t step = bench->job().open_step();
  const bool stale = random->Percent(40) && step > 3;
  for (int i = 0; i < contributors; ++i) {
    v1::PushRequest push = bench->PushOf(i, step);
    if (stale && random->Percent(70)) {
      // The same for a while, so that steps join each other.
      const uint64_t routed_with = std::min(push.routed_with().step(), step / 6 * 6);
      for (const VersionRecord& version : bench->disk().versions) {
        if (version.step != routed_with) continue;
        push.mutable_routed_with()->set_step(version.step);
        push.mutable_routed_with()->set_epoch(version.epoch);
      }
    }
    bench->Push(std::move(push));
  }
}

TEST(JobConfigTest, RandomHistoriesAreThoseOfAPlainReference) {
  constexpr int kSteps = 30;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    simulation::Random random(seed);
    v1::JobSpec spec = job::TestSpec(2);
    spec.set_lag(random.Between(0, 1));
    JobBench bench(spec, {}, /*one_skip_in=*/6);
    PlainTimeline plain(spec);
    bench.JoinAll();
    for (uint64_t step = 1; step <= kSteps; ++step) {
      if (random.Percent(40)) {
        ASSERT_NO_FATAL_FAILURE(ChangeSomething(&random, &bench, &plain)) << "seed " << seed;
      }
      if (random.Percent(15)) {
        bench.Restart();
        bench.JoinAll();
      }
      PushStep(&random, 2, &bench);
      ASSERT_EQ(bench.job().committed_step(), step) << "seed " << seed;
      if (step % 5 != 0) continue;
      bench.ExpectBalancing(plain.specs());
      ASSERT_TRUE(bench.IsAt(step)) << "seed " << seed << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace evenkeel::core
