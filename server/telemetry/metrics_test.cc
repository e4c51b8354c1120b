#include "server/telemetry/metrics.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/telemetry/parsed_page.h"

namespace evenkeel::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::shared_ptr<const JobView> View(const std::string& job, uint64_t step) {
  auto view = std::make_shared<JobView>();
  view->job = job;
  view->epoch = 2;
  view->step = step;
  view->contributors = 4;
  view->joined = 3;
  view->staleness = 5;
  view->tokens_total = step * 2048;
  view->stale_commits_total = 6;
  view->lost_contributions_total = 9;
  view->invariant_failures_total = {{"bias_differs", 4}, {"same_tokens", 0}};
  view->missing_contributions_total = 11;
  view->contributors_by_state = {{"pushed", 5}, {"lost", 0}};
  view->stragglers = {40, 3};
  view->halted = true;
  view->layers = {{"layers.0", 1.5, -1, 0.5, step}, {"layers.1", 0.25, -0.125, 0.0625, step - 1}};
  return view;
}

// What the page says, after a check that it is a page.
ParsedPage Read(const Metrics& metrics) {
  absl::StatusOr<ParsedPage> page = ParsePage(metrics.Text());
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? *std::move(page) : ParsedPage();
}

// Dropped tokens are on the page, for layers whose workers tell of them.
TEST(MetricsTest, Pitfall10DroppedTokensAreAMetric) {
  Metrics metrics;
  auto view = std::make_shared<JobView>(*View("job", 7));
  view->layers[0].stream = "0";
  view->layers[0].drop_rate = 0.125;
  metrics.Publish(view);
  const ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_layer_drop_ratio", {{"job", "job"}, {"layer", "layers.0"}, {"stream", "0"}}), 0.125);
  EXPECT_EQ(page.families.at("evenkeel_layer_drop_ratio").samples.size(), 1u);
  EXPECT_EQ(page.Value("evenkeel_layer_max_violation_ratio", {{"job", "job"}, {"layer", "layers.0"}, {"stream", "0"}}),
            1.5);
  EXPECT_EQ(page.Value("evenkeel_layer_max_violation_ratio", {{"job", "job"}, {"layer", "layers.1"}}), 0.25);
}

TEST(MetricsTest, ShowsAJobAndItsLayers) {
  Metrics metrics;
  metrics.Publish(View("job", 7));
  const ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_job_step", {{"job", "job"}}), 7);
  EXPECT_EQ(page.Value("evenkeel_job_epoch", {{"job", "job"}}), 2);
  EXPECT_EQ(page.Value("evenkeel_job_contributors", {{"job", "job"}}), 4);
  EXPECT_EQ(page.Value("evenkeel_job_joined", {{"job", "job"}}), 3);
  EXPECT_EQ(page.Value("evenkeel_job_tokens_total", {{"job", "job"}}), 7 * 2048);
  EXPECT_EQ(page.Value("evenkeel_staleness_steps", {{"job", "job"}}), 5);
  EXPECT_EQ(page.Value("evenkeel_stale_commits_total", {{"job", "job"}}), 6);
  EXPECT_EQ(page.Value("evenkeel_lost_contributions_total", {{"job", "job"}}), 9);
  EXPECT_EQ(page.Value("evenkeel_bias_hash_mismatch_total", {{"job", "job"}}), 4);
  EXPECT_EQ(page.Value("evenkeel_job_halted", {{"job", "job"}}), 1);
  EXPECT_EQ(page.Value("evenkeel_missing_contributions_total", {{"job", "job"}}), 11);
  EXPECT_EQ(page.Value("evenkeel_job_failed", {{"job", "job"}}), 0);
  EXPECT_EQ(page.Value("evenkeel_contributors", {{"job", "job"}, {"state", "pushed"}}), 5);
  EXPECT_EQ(page.Value("evenkeel_contributors", {{"job", "job"}, {"state", "lost"}}), 0);
  EXPECT_EQ(page.Value("evenkeel_straggler_contributor", {{"job", "job"}, {"place", "1"}}), 40);
  EXPECT_EQ(page.Value("evenkeel_straggler_contributor", {{"job", "job"}, {"place", "2"}}), 3);
  EXPECT_EQ(page.Value("evenkeel_invariant_failures_total", {{"job", "job"}, {"invariant", "bias_differs"}}), 4);
  EXPECT_EQ(page.Value("evenkeel_invariant_failures_total", {{"job", "job"}, {"invariant", "same_tokens"}}), 0);
  EXPECT_EQ(page.Value("evenkeel_layer_max_violation_ratio", {{"job", "job"}, {"layer", "layers.0"}}), 1.5);
  EXPECT_EQ(page.Value("evenkeel_layer_min_violation_ratio", {{"job", "job"}, {"layer", "layers.0"}}), -1);
  EXPECT_EQ(page.Value("evenkeel_layer_avg_violation_ratio", {{"job", "job"}, {"layer", "layers.1"}}), 0.0625);
  EXPECT_EQ(page.Value("evenkeel_layer_last_update_step", {{"job", "job"}, {"layer", "layers.1"}}), 6);
}

// Experts are not on the page, however many there are.
TEST(MetricsTest, Pitfall27SeriesGrowWithLayersAndNotWithExperts) {
  const auto series_of = [](int layers) {
    Metrics metrics;
    auto view = std::make_shared<JobView>(*View("job", 7));
    view->layers.assign(layers, view->layers[0]);
    for (int i = 0; i < layers; ++i) view->layers[i].name = absl::StrCat("layers.", i);
    metrics.Publish(view);
    int series = 0;
    for (const auto& [name, family] : Read(metrics).families) {
      for (const ParsedPage::Sample& sample : family.samples) {
        ++series;
        EXPECT_EQ(sample.labels.count("expert"), 0) << name;
      }
    }
    return series;
  };
  const int of_a_layer = series_of(2) - series_of(1);
  EXPECT_LE(of_a_layer, 10);
  EXPECT_EQ(series_of(61) - series_of(1), 60 * of_a_layer);
}

TEST(MetricsTest, ANewerViewReplacesTheOlder) {
  Metrics metrics;
  metrics.Publish(View("job", 7));
  metrics.Publish(View("job", 8));
  EXPECT_EQ(Read(metrics).Value("evenkeel_job_step", {{"job", "job"}}), 8);
}

TEST(MetricsTest, TheBuildIsAlwaysThere) {
  const ParsedPage page = Read(Metrics());
  ASSERT_EQ(page.families.at("evenkeel_build_info").samples.size(), 1);
  EXPECT_EQ(page.families.at("evenkeel_build_info").samples[0].value, 1);
}

TEST(MetricsTest, CountsPushesByJobAndResult) {
  Metrics metrics;
  metrics.Publish(View("a", 1));
  metrics.Publish(View("b", 1));
  for (int i = 0; i < 3; ++i) metrics.CountPush("a", "accepted");
  metrics.CountPush("a", "duplicate");
  metrics.CountPush("b", "accepted");
  const ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_pushes_total", {{"job", "a"}, {"result", "accepted"}}), 3);
  EXPECT_EQ(page.Value("evenkeel_pushes_total", {{"job", "a"}, {"result", "duplicate"}}), 1);
  EXPECT_EQ(page.Value("evenkeel_pushes_total", {{"job", "b"}, {"result", "accepted"}}), 1);
  EXPECT_TRUE(std::isnan(page.Value("evenkeel_pushes_total", {{"job", "b"}, {"result", "duplicate"}})));
}

TEST(MetricsTest, StrangersMakeNoSeries) {
  Metrics metrics;
  for (int i = 0; i < 1000; ++i) metrics.CountPush(absl::StrCat("stranger", i), "job_unknown");
  metrics.ObserveCommit("stranger", 1, 1);
  EXPECT_EQ(Read(metrics).Value("evenkeel_pushes_total", {{"job", ""}, {"result", "job_unknown"}}), 1000);
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("stranger")));
}

TEST(MetricsTest, ObservesCommitsInCumulativeBuckets) {
  Metrics metrics;
  metrics.Publish(View("job", 1));
  for (const double seconds : {0.0001, 0.003, 0.7, 100.0}) metrics.ObserveCommit("job", seconds, seconds / 10);
  const ParsedPage page = Read(metrics);
  const auto commits_up_to = [&](const std::string& bound) {
    return page.Value("evenkeel_step_commit_seconds_bucket", {{"job", "job"}, {"le", bound}});
  };
  EXPECT_EQ(commits_up_to("0.001"), 1);
  EXPECT_EQ(commits_up_to("0.005"), 2);
  EXPECT_EQ(commits_up_to("1"), 3);
  EXPECT_EQ(commits_up_to("60"), 3);
  EXPECT_EQ(commits_up_to("+Inf"), 4);
  EXPECT_EQ(page.Value("evenkeel_step_commit_seconds_count", {{"job", "job"}}), 4);
  EXPECT_NEAR(page.Value("evenkeel_step_commit_seconds_sum", {{"job", "job"}}), 100.7031, 1e-9);
  EXPECT_EQ(page.Value("evenkeel_store_write_seconds_bucket", {{"job", "job"}, {"le", "0.0005"}}), 2);
  EXPECT_EQ(page.Value("evenkeel_store_write_seconds_count", {{"job", "job"}}), 4);
  EXPECT_NEAR(page.Value("evenkeel_store_write_seconds_sum", {{"job", "job"}}), 10.07031, 1e-9);
}

TEST(MetricsTest, AllSeriesOfARemovedJobVanish) {
  Metrics metrics;
  for (const char* job : {"gone", "stays"}) {
    metrics.Publish(View(job, 1));
    metrics.CountPush(job, "accepted");
    metrics.ObserveCommit(job, 0.1, 0.01);
  }
  metrics.Remove("gone");
  metrics.Remove("never was");
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("gone")));
  EXPECT_GT(Read(metrics).CountWith("job", "stays"), 30);

  metrics.Publish(View("gone", 2));
  const ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_step_commit_seconds_count", {{"job", "gone"}}), 0);
  EXPECT_TRUE(std::isnan(page.Value("evenkeel_pushes_total", {{"job", "gone"}, {"result", "accepted"}})));
}

TEST(MetricsTest, NamesOfAnyCharactersComeBackFromThePage) {
  const std::string hostile = "a\"b\\c\nd{e=\"f\"} 1\n# TYPE x counter\nevenkeel_fake 1\\";
  Metrics metrics;
  auto view = std::make_shared<JobView>(*View(hostile, 5));
  view->layers[0].name = "\\n\"";
  metrics.Publish(view);
  metrics.CountPush(hostile, "accepted");
  metrics.ObserveCommit(hostile, 1, 1);
  const ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_job_step", {{"job", hostile}}), 5);
  EXPECT_EQ(page.Value("evenkeel_pushes_total", {{"job", hostile}, {"result", "accepted"}}), 1);
  EXPECT_EQ(page.Value("evenkeel_layer_max_violation_ratio", {{"job", hostile}, {"layer", "\\n\""}}), 1.5);
  EXPECT_EQ(page.Value("evenkeel_step_commit_seconds_count", {{"job", hostile}}), 1);
  EXPECT_EQ(page.families.count("evenkeel_fake"), 0);
}

TEST(MetricsTest, LargeNumbersAreShownInFull) {
  Metrics metrics;
  auto view = std::make_shared<JobView>(*View("job", 1));
  view->tokens_total = (uint64_t{1} << 53) - 1;  // the largest that a sample, a double, can tell from its neighbours
  metrics.Publish(view);
  EXPECT_EQ(Read(metrics).Value("evenkeel_job_tokens_total", {{"job", "job"}}), 9007199254740991.0);
}

// The page of 61 layers stays far below what a scrape may cost.
TEST(MetricsTest, APageOf61LayersIsSmall) {
  Metrics metrics;
  auto view = std::make_shared<JobView>(*View("job", 1));
  view->layers.assign(61, {"", 1.0 / 3, -2.0 / 3, 1.0 / 7, 123456});
  for (size_t i = 0; i < view->layers.size(); ++i) view->layers[i].name = absl::StrCat("model.layers.", i, ".mlp.gate");
  metrics.Publish(view);
  EXPECT_LT(metrics.Text().size(), 100 * 1000);
}

TEST(MetricsTest, ThreadsPublishAndCountWhileOthersScrape) {
  constexpr int kThreads = 4;
  constexpr int kSteps = 200;
  Metrics metrics;
  metrics.Publish(View("shared", 1));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&metrics, thread] {
      const std::string own = absl::StrCat("job", thread);
      for (int step = 1; step <= kSteps; ++step) {
        metrics.Publish(View(own, step));
        metrics.CountPush(own, "accepted");
        metrics.CountPush("shared", "accepted");
        metrics.ObserveCommit("shared", 0.01, 0.001);
        if (step % 50 == 0 && step < kSteps) metrics.Remove(own);
      }
    });
  }
  for (int scrape = 0; scrape < 20; ++scrape) EXPECT_TRUE(ParsePage(metrics.Text()).ok());
  for (std::thread& thread : threads) thread.join();
  const ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_pushes_total", {{"job", "shared"}, {"result", "accepted"}}), kThreads * kSteps);
  EXPECT_EQ(page.Value("evenkeel_step_commit_seconds_count", {{"job", "shared"}}), kThreads * kSteps);
  for (int thread = 0; thread < kThreads; ++thread) {
    const std::string own = absl::StrCat("job", thread);
    EXPECT_EQ(page.Value("evenkeel_job_step", {{"job", own}}), kSteps);
    EXPECT_EQ(page.Value("evenkeel_pushes_total", {{"job", own}, {"result", "accepted"}}), 50);
  }
}

TEST(MetricsTest, PromtoolFindsNothingWrong) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "promtool (Debian package prometheus) is not installed";
  }
  Metrics metrics;
  metrics.Publish(View("job", 7));
  metrics.CountPush("job", "accepted");
  metrics.ObserveCommit("job", 0.1, 0.01);
  FILE* promtool = popen("promtool check metrics 2>&1", "w");
  ASSERT_NE(promtool, nullptr);
  const std::string text = metrics.Text();
  EXPECT_EQ(fwrite(text.data(), 1, text.size(), promtool), text.size());
  EXPECT_EQ(pclose(promtool), 0);
}

}  // namespace
}  // namespace evenkeel::telemetry
