#include "server/engine/job_view.h"

#include <cmath>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"
#include "server/core/coordinator.h"

namespace evenkeel::engine {
namespace {

core::CommitEvent Commit(uint64_t step, uint64_t tokens, uint64_t staleness, std::vector<int> lost) {
  return {"job", step, absl::ZeroDuration(), tokens, staleness, std::move(lost), /*missing=*/{}};
}

core::ViolationEvent SameTokens() {
  core::ViolationEvent event = {"job", 7, {}};
  event.violation.set_kind(v1::Violation::SAME_TOKENS);
  event.violation.set_message("ranks 2 and 3 counted the very same");
  return event;
}

TEST(JobTotalsTest, AddUpWhatCommitsSay) {
  JobTotals totals;
  totals.Add(Commit(1, 100, 0, {}));
  totals.Add(Commit(2, 10, 3, {4}));
  totals.Add(Commit(3, 1, 4, {0, 4}));
  EXPECT_EQ(totals.tokens, 111u);
  EXPECT_EQ(totals.stale_commits, 2u);
  EXPECT_EQ(totals.lost_contributions, 3u);
}

TEST(JobViewTest, ShowsTheSummaryAndTheTotals) {
  v1::DescribeJobResponse description;
  description.mutable_summary()->set_name("job");
  description.mutable_summary()->mutable_version()->set_step(7);
  description.mutable_summary()->set_staleness(5);
  description.mutable_halt()->set_step(6);
  v1::ContributorCount* late = description.mutable_summary()->add_counts();
  late->set_state(v1::ContributorState::LATE);
  late->set_contributors(2);
  description.mutable_summary()->add_stragglers(4);
  description.mutable_summary()->set_failure("step 8 has failed");
  JobTotals totals = {/*tokens=*/100, /*stale_commits=*/2, /*lost_contributions=*/3};
  totals.Add(SameTokens());
  const auto view = MakeJobView(description, {}, totals);
  EXPECT_EQ(view->job, "job");
  EXPECT_EQ(view->step, 7u);
  EXPECT_EQ(view->staleness, 5u);
  EXPECT_EQ(view->tokens_total, 100u);
  EXPECT_EQ(view->stale_commits_total, 2u);
  EXPECT_EQ(view->lost_contributions_total, 3u);
  EXPECT_TRUE(view->halted);
  EXPECT_TRUE(view->failed);
  EXPECT_EQ(view->contributors_by_state.at("late"), 2);
  EXPECT_EQ(view->contributors_by_state.at("lost"), 0);
  EXPECT_EQ(view->stragglers, std::vector<int>({4}));
  EXPECT_EQ(view->invariant_failures_total.size(), 7u) << "all, from the start";
  EXPECT_EQ(view->invariant_failures_total.at("same_tokens"), 1u);
  EXPECT_EQ(view->invariant_failures_total.at("silent_layer"), 0u);
  description.clear_halt();
  EXPECT_FALSE(MakeJobView(description, {}, totals)->halted);
}

TEST(ViolationLineTest, NamesJobStepAndKind) {
  EXPECT_EQ(ViolationLine(SameTokens()), "job \"job\", step 7: same tokens: ranks 2 and 3 counted the very same");
}

TEST(JobViewTest, OnlyLayersWithSeveralStreamsNameThem) {
  v1::DescribeJobResponse description;
  const auto add = [&](const char* name, int stream) {
    v1::LayerStatus* layer = description.add_layers();
    layer->set_name(name);
    layer->set_stream(stream);
    return layer;
  };
  add("a", 0);
  add("b", 0)->set_drop_rate(0.25);
  add("b", 1);
  add("c", 0);
  const auto view = MakeJobView(description, {}, {});
  ASSERT_EQ(view->layers.size(), 4u);
  EXPECT_EQ(view->layers[0].stream, "");
  EXPECT_EQ(view->layers[1].stream, "0");
  EXPECT_EQ(view->layers[2].stream, "1");
  EXPECT_EQ(view->layers[3].stream, "");
  EXPECT_EQ(view->layers[1].drop_rate, 0.25);
  EXPECT_TRUE(std::isnan(view->layers[0].drop_rate));
}

// A scrape makes the layers from what the commit has written.
TEST(JobViewTest, DescribesTheLayersOfAStateAsCoreDoes) {
  core::Coordinator coordinator{v1::CoordinatorConfig()};
  core::Effects effects;
  ASSERT_TRUE(
      coordinator.Join(absl::Now(), job::TestJoin(job::TestSpec(1), 0, /*incarnation=*/5, /*next_step=*/1), &effects)
          .ok());
  v1::PushRequest push;
  push.set_job("job");
  push.set_incarnation(5);
  push.set_epoch(1);
  push.set_step(1);
  push.set_ok(true);
  push.mutable_routed_with()->set_epoch(1);
  push.add_valid_tokens(3);
  push.add_valid_tokens(3);
  *push.mutable_routed() = job::PackCounts({3, 1, 0, 2, /**/ 0, 1, 2});
  ASSERT_EQ(coordinator.Push(absl::Now(), /*call=*/1, &push, &effects), core::PushResult::kAccepted);

  const auto history = std::make_shared<history::History>();
  history->Take(effects.writes);
  const std::shared_ptr<const v1::JobState> state = effects.writes.back().state;
  JobTotals totals;
  totals.Add(*state);
  const Overview overview = {*coordinator.Overview("job"), *coordinator.Fleet("job")};
  const auto view = JobViewOf(overview, totals, state, history)();
  const auto expected = MakeJobView(*coordinator.Describe("job"), *coordinator.Fleet("job"), {});
  EXPECT_EQ(view->job, "job");
  EXPECT_EQ(view->step, 1u);
  ASSERT_EQ(view->layers.size(), 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(view->layers[i].name, i == 0 ? "a" : "b");
    EXPECT_GT(view->layers[i].max_violation, 0);
    EXPECT_EQ(view->layers[i].max_violation, expected->layers[i].max_violation);
    EXPECT_EQ(view->layers[i].min_violation, expected->layers[i].min_violation);
    EXPECT_EQ(view->layers[i].avg_violation, expected->layers[i].avg_violation);
    EXPECT_EQ(view->layers[i].last_update_step, 1u);
    EXPECT_EQ(view->layers[i].update_reason, "moved");
    EXPECT_EQ(view->layers[i].load_cv, expected->layers[i].load_cv);
    EXPECT_GT(view->layers[i].noise_floor, 0);
    EXPECT_EQ(view->layers[i].bias_max, expected->layers[i].bias_max);
    EXPECT_GT(view->layers[i].bias_stddev, 0);
    EXPECT_TRUE(std::isnan(expected->layers[i].window_max_violation)) << "core has no history";
    EXPECT_EQ(view->layers[i].window_max_violation, view->layers[i].max_violation) << "of one step";
    EXPECT_EQ(view->layers[i].dead_experts, 1);
    EXPECT_GT(view->layers[i].bias_update_max, 0);
    EXPECT_EQ(view->layers[i].sign_flip_ratio, 0);
  }
  EXPECT_EQ(view->ranks, 1);
  EXPECT_EQ(view->ranks_reporting, 1);
  EXPECT_EQ(view->lag_steps, 0u);
  EXPECT_EQ(view->skipped_updates_total.size(), 9u) << "all reasons but that of a move";
  for (const auto& [reason, count] : view->skipped_updates_total) EXPECT_EQ(count, 0u) << reason;

  const auto experts = ExpertViewOf(state, history)();
  EXPECT_EQ(experts->job, "job");
  ASSERT_EQ(experts->layers.size(), 2u);
  EXPECT_EQ(experts->layers[0].name, "a");
  EXPECT_EQ(experts->layers[0].load, std::vector<double>({2, 2.0 / 3, 0, 4.0 / 3}));
  EXPECT_EQ(experts->layers[0].tokens_total, std::vector<uint64_t>({3, 1, 0, 2}));
  EXPECT_EQ(experts->layers[1].tokens_total, std::vector<uint64_t>({0, 1, 2}));
  EXPECT_EQ(experts->layers[1].bias.size(), 3u);
  EXPECT_EQ(experts->layers[1].bias[0], state->layers(1).bias(0));
}

// A series that is not there from the start is one whose first rise nobody sees.
TEST(JobViewTest, EveryReasonIsThereFromTheStartAndIsCounted) {
  JobTotals totals;
  v1::JobState state;
  for (const v1::UpdateReason::Kind reason :
       {v1::UpdateReason::MOVED, v1::UpdateReason::FROZEN, v1::UpdateReason::FROZEN, v1::UpdateReason::NO_TOKENS}) {
    state.add_layers()->set_last_reason(reason);
  }
  totals.Add(state);
  totals.Add(state);
  const auto view = MakeJobView({}, {}, totals);
  EXPECT_EQ(view->skipped_updates_total.at("frozen"), 4u);
  EXPECT_EQ(view->skipped_updates_total.at("no_tokens"), 2u);
  EXPECT_EQ(view->skipped_updates_total.at("skipped"), 0u);
  EXPECT_EQ(view->skipped_updates_total.count("moved"), 0u);
}

TEST(LostLineTest, NamesJobStepAndAFewContributors) {
  EXPECT_EQ(
      LostLine(Commit(7, 0, 0, {2})),
      "job \"job\": step 7 is committed without the counts of contributor 2, lost before they could be delivered");
  EXPECT_EQ(
      LostLine(Commit(7, 0, 0, {2, 3, 5, 8, 9})),
      "job \"job\": step 7 is committed without the counts of contributor 2, 3, 5 and 2 more, lost before they could "
      "be delivered");
}

}  // namespace
}  // namespace evenkeel::engine
