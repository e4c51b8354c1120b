#include "client/worker/summary.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

WorkerOptions Options() {
  WorkerOptions options;
  options.coordinator = "10.0.0.1:7411";
  options.job = "job";
  options.layers = {{"a", 4, 2, ""}, {"b", 3, 1, ""}};
  return options;
}

std::string SummaryOf(const WorkerOptions& options, const v1::JobSpec& spec) {
  return Summary(options, *GroupOf(options.group, options.rank, options.world_size), *LayerTable::Make(options.layers),
                 job::TestPlan(spec).effective);
}

TEST(SummaryTest, SaysWhoCommitsByWhatRule) {
  EXPECT_EQ(SummaryOf(Options(), job::TestSpec(1)),
            "evenkeel: job job, rank 0 of 1; committed by the coordinator at 10.0.0.1:7411 (a lost bias is held after "
            "10000 ms); rule PROPORTIONAL, rate 0.01, momentum 0.9, center STATE, cap 2 DEVIATION, warm-up 0 steps, "
            "lag 0; 1 layer x 3 experts x top 1, 1 layer x "
            "4 experts x top 2: a, b");
}

TEST(SummaryTest, CountsTheStreams) {
  v1::JobSpec spec = job::TestSpec(1);
  spec.mutable_layers(0)->set_streams(2);
  EXPECT_THAT(SummaryOf(Options(), spec), HasSubstr("1 layer x 4 experts x top 2 x 2 streams"));
}

TEST(SummaryTest, NamesTheGroup) {
  WorkerOptions options = Options();
  options.coordinator = "";
  options.rank = 3;
  options.world_size = 4;
  options.group.name = "ep";
  options.group.expert_parallel_size = 2;
  EXPECT_THAT(SummaryOf(options, job::TestSpec(2)),
              HasSubstr("rank 3 of 4, member of group ep 1 of 2 (ranks 2 3); committed by every rank, without a "
                        "coordinator"));
  options.rank = 2;
  EXPECT_THAT(SummaryOf(options, job::TestSpec(2)), HasSubstr("leader of group ep 1 of 2"));
}

TEST(SummaryTest, SaysWhatBecomesOfALostBias) {
  WorkerOptions options = Options();
  options.loss.on_loss = OnLoss::kWait;
  EXPECT_THAT(SummaryOf(options, job::TestSpec(1)), HasSubstr("(a lost bias is waited for)"));
  options.loss.on_loss = OnLoss::kLocal;
  options.loss.patience = std::chrono::milliseconds(50);
  EXPECT_THAT(SummaryOf(options, job::TestSpec(1)), HasSubstr("(a lost bias is moved on by the rank after 50 ms)"));
  options.loss.on_loss = OnLoss::kFail;
  EXPECT_THAT(SummaryOf(options, job::TestSpec(1)), HasSubstr("(a lost bias is an error after 50 ms)"));
}

TEST(SummaryTest, Pitfall13NamesEveryLayerThatIsRegisteredAndThoseThatAStageCounts) {
  WorkerOptions options = Options();
  options.layers[1].owned = false;
  EXPECT_THAT(SummaryOf(options, job::TestSpec(1)), HasSubstr(": a, b; of which this rank counts 1: a"));
}

TEST(SummaryTest, TellsWhatDiffersFromAPreset) {
  v1::JobSpec spec = job::TestSpec(1);
  spec.mutable_balance()->set_preset("loss_free");
  spec.mutable_balance()->mutable_schedule()->set_kind(v1::Schedule::TO_ZERO);
  spec.mutable_balance()->mutable_schedule()->set_begin(100);
  spec.mutable_balance()->set_warmup_steps(7);
  v1::LayerOverride* layer = spec.add_overrides();
  layer->set_layer("a");
  layer->mutable_balance()->set_rate(0.5);
  EXPECT_THAT(SummaryOf(Options(), spec), HasSubstr("rule SIGN, rate 0.001 (TO_ZERO)"));
  EXPECT_THAT(SummaryOf(Options(), spec), HasSubstr("no cap, warm-up 7 steps"));
  EXPECT_THAT(SummaryOf(Options(), spec), HasSubstr("other settings for 1 of the layers"));
}

TEST(SummaryTest, SaysWhatTheJobDoesWithItsCounts) {
  v1::JobSpec spec = job::TestSpec(1);
  spec.set_mode(v1::JobSpec::Mode::FROZEN);
  EXPECT_THAT(SummaryOf(Options(), spec), HasSubstr("lag 0, frozen; "));
  spec.set_mode(v1::JobSpec::Mode::OBSERVE);
  EXPECT_THAT(SummaryOf(Options(), spec), HasSubstr("; observed, without a bias, lag 0; 1 layer"));
}

}  // namespace
}  // namespace evenkeel::client
