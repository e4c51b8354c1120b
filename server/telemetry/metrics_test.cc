#include "server/telemetry/metrics.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
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
  view->skipped_updates_total = {{"frozen", 12}, {"no_tokens", 0}};
  view->lag_steps = 13;
  view->ranks = 32;
  view->ranks_reporting = 24;
  view->workers = {{{{"device", "NVIDIA H200"}, {"routing_paths", "cuda"}}, 3}, {{{"device", ""}}, 1}};
  view->worker_versions = {{"device", 2}, {"library_version", 1}};
  view->halted = true;
  view->layers = {{"layers.0", 1.5, -1, 0.5, step}, {"layers.1", 0.25, -0.125, 0.0625, step - 1}};
  return view;
}

// With a number of six digits wherever there can be one.
JobView::Layer FullLayer() {
  JobView::Layer layer = {"", 1.0 / 3, -2.0 / 3, 1.0 / 7, 123456};
  for (double* number : {&layer.load_cv, &layer.load_entropy, &layer.noise_floor, &layer.window_max_violation,
                         &layer.window_min_violation, &layer.window_avg_violation, &layer.bias_min, &layer.bias_max,
                         &layer.bias_stddev, &layer.sign_flip_ratio}) {
    *number = 1.0 / 7;
  }
  layer.bias_update_max = 1e-3;
  layer.dead_experts = layer.starved_experts = 0;
  layer.update_reason = "moved";
  return layer;
}

std::shared_ptr<const ExpertView> Experts(const std::string& job, const std::vector<double>& load) {
  auto view = std::make_shared<ExpertView>();
  view->job = job;
  view->layers.resize(1);
  view->layers[0].name = "layers.0";
  view->layers[0].load = load;
  for (size_t i = 0; i < load.size(); ++i) {
    view->layers[0].bias.push_back(0.5F - static_cast<float>(i));
    view->layers[0].tokens_total.push_back(1000 + i);
  }
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
  EXPECT_EQ(page.Value("evenkeel_updates_skipped_total", {{"job", "job"}, {"reason", "frozen"}}), 12);
  EXPECT_EQ(page.Value("evenkeel_updates_skipped_total", {{"job", "job"}, {"reason", "no_tokens"}}), 0);
  EXPECT_EQ(page.Value("evenkeel_worker_lag_steps", {{"job", "job"}}), 13);
  EXPECT_EQ(page.Value("evenkeel_ranks", {{"job", "job"}}), 32);
  EXPECT_EQ(page.Value("evenkeel_ranks_reporting", {{"job", "job"}}), 24);
  EXPECT_EQ(page.Value("evenkeel_layer_max_violation_ratio", {{"job", "job"}, {"layer", "layers.0"}}), 1.5);
  EXPECT_EQ(page.Value("evenkeel_layer_min_violation_ratio", {{"job", "job"}, {"layer", "layers.0"}}), -1);
  EXPECT_EQ(page.Value("evenkeel_layer_avg_violation_ratio", {{"job", "job"}, {"layer", "layers.1"}}), 0.0625);
  EXPECT_EQ(page.Value("evenkeel_layer_last_update_step", {{"job", "job"}, {"layer", "layers.1"}}), 6);
}

TEST(MetricsTest, ShowsAllThereIsToKnowOfALayer) {
  Metrics metrics;
  auto view = std::make_shared<JobView>(*View("job", 7));
  JobView::Layer& layer = view->layers[0];
  const std::vector<std::pair<std::string, double*>> numbers = {
      {"load_cv_ratio", &layer.load_cv},
      {"load_entropy_ratio", &layer.load_entropy},
      {"noise_floor_ratio", &layer.noise_floor},
      {"window_max_violation_ratio", &layer.window_max_violation},
      {"window_min_violation_ratio", &layer.window_min_violation},
      {"window_avg_violation_ratio", &layer.window_avg_violation},
      {"dead_experts", &layer.dead_experts},
      {"starved_experts", &layer.starved_experts},
      {"bias_min", &layer.bias_min},
      {"bias_max", &layer.bias_max},
      {"bias_stddev", &layer.bias_stddev},
      {"bias_update_max", &layer.bias_update_max},
      {"sign_flip_ratio", &layer.sign_flip_ratio}};
  double next = 0.25;
  for (const auto& [name, number] : numbers) *number = next++;
  layer.update_reason = "below_min_tokens";
  metrics.Publish(view);
  const ParsedPage page = Read(metrics);
  next = 0.25;
  for (const auto& [name, number] : numbers) {
    const std::string family = "evenkeel_layer_" + name;
    EXPECT_EQ(page.Value(family, {{"job", "job"}, {"layer", "layers.0"}}), next++) << family;
    EXPECT_EQ(page.families.at(family).samples.size(), 1u) << "layers.1 has none";
  }
  EXPECT_EQ(page.Value("evenkeel_layer_update_reason",
                       {{"job", "job"}, {"layer", "layers.0"}, {"reason", "below_min_tokens"}}),
            1);
  EXPECT_EQ(page.families.at("evenkeel_layer_update_reason").samples.size(), 1u);
}

TEST(MetricsTest, ShowsWhatWorkersRunOnAndHowTheyGetOn) {
  Metrics metrics;
  auto view = std::make_shared<JobView>(*View("job", 7));
  metrics.Publish(view);
  ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_worker_info", {{"job", "job"}, {"device", "NVIDIA H200"}, {"routing_paths", "cuda"}}),
            3);
  EXPECT_EQ(page.Value("evenkeel_worker_versions", {{"job", "job"}, {"what", "device"}}), 2);
  EXPECT_TRUE(std::isnan(page.Value("evenkeel_worker_staleness_steps", {{"job", "job"}}))) << "nobody has told";
  view = std::make_shared<JobView>(*view);
  view->worker_staleness = 1;
  view->worker_undelivered_steps = 2;
  view->worker_lost_steps_total = 3;
  view->worker_commit_host_seconds = 4e-6;
  metrics.Publish(view);
  page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_worker_staleness_steps", {{"job", "job"}}), 1);
  EXPECT_EQ(page.Value("evenkeel_worker_undelivered_steps", {{"job", "job"}}), 2);
  EXPECT_EQ(page.Value("evenkeel_worker_lost_steps_total", {{"job", "job"}}), 3);
  EXPECT_EQ(page.Value("evenkeel_worker_commit_host_seconds", {{"job", "job"}}), 4e-6);
}

TEST(MetricsTest, CountsCallsByMethodAndCode) {
  Metrics metrics;
  metrics.CountCall("Join", absl::StatusCode::kOk, 0.002);
  metrics.CountCall("Join", absl::StatusCode::kOk, 0.3);
  metrics.CountCall("Join", absl::StatusCode::kPermissionDenied, 0.0001);
  metrics.CountCall("Push", absl::StatusCode::kOk, std::nullopt);
  const ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_rpc_calls_total", {{"method", "Join"}, {"code", "OK"}}), 2);
  EXPECT_EQ(page.Value("evenkeel_rpc_calls_total", {{"method", "Join"}, {"code", "PERMISSION_DENIED"}}), 1);
  EXPECT_EQ(page.Value("evenkeel_rpc_calls_total", {{"method", "Push"}, {"code", "OK"}}), 1);
  EXPECT_EQ(page.Value("evenkeel_rpc_seconds_count", {{"method", "Join"}}), 3);
  EXPECT_EQ(page.Value("evenkeel_rpc_seconds_bucket", {{"method", "Join"}, {"le", "0.005"}}), 2);
  EXPECT_TRUE(std::isnan(page.Value("evenkeel_rpc_seconds_count", {{"method", "Push"}})));
}

TEST(MetricsTest, ShowsTheProcess) {
  const std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/state");
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/a") << std::string(1000, 'x');
  std::ofstream(folder + "/b") << std::string(24, 'x');
  Metrics::Options options;
  options.state_dir = folder;
  Metrics metrics(std::move(options));
  metrics.SetConnections([] { return 5; });
  metrics.CountStoreFailure();
  ParsedPage page = Read(metrics);
  EXPECT_EQ(page.Value("evenkeel_store_bytes", {}), 1024);
  EXPECT_EQ(page.Value("evenkeel_store_failures_total", {}), 1);
  EXPECT_EQ(page.Value("evenkeel_connections", {}), 5);
  EXPECT_GT(page.Value("process_resident_memory_bytes", {}), 1 << 20);
  EXPECT_LT(page.Value("process_resident_memory_bytes", {}), 1e12);
  EXPECT_GE(page.Value("process_cpu_seconds_total", {}), 0);
  EXPECT_LT(page.Value("process_cpu_seconds_total", {}), 3600);
  const double now = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  EXPECT_NEAR(page.Value("process_start_time_seconds", {}), now, 3600);
  const double files = page.Value("process_open_fds", {});
  EXPECT_GE(files, 3);
  {
    std::ifstream more(folder + "/a");
    EXPECT_EQ(Read(metrics).Value("process_open_fds", {}), files + 1);
  }
  metrics.SetConnections(nullptr);
  EXPECT_TRUE(std::isnan(Read(metrics).Value("evenkeel_connections", {})));
}

// Six digits are read; the rest would be a third of the page. What counts is shown in full.
TEST(MetricsTest, FractionsHaveSixDigitsAndWholeNumbersAll) {
  Metrics metrics;
  auto view = std::make_shared<JobView>(*View("job", 1));
  view->layers[0].max_violation = 1.0 / 3;
  view->layers[0].min_violation = -2.0 / 3e4;
  view->layers[0].avg_violation = 1234567.891;
  view->layers[0].last_update_step = 123456789;
  metrics.Publish(view);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("max_violation_ratio{job=\"job\",layer=\"layers.0\"} 0.333333\n"));
  EXPECT_THAT(text, HasSubstr("min_violation_ratio{job=\"job\",layer=\"layers.0\"} -6.66667e-05\n"));
  EXPECT_THAT(text, HasSubstr("avg_violation_ratio{job=\"job\",layer=\"layers.0\"} 1234568\n"));
  EXPECT_THAT(text, HasSubstr("last_update_step{job=\"job\",layer=\"layers.0\"} 123456789\n"));
}

// Experts are not on the page, however many there are.
TEST(MetricsTest, Pitfall27SeriesGrowWithLayersAndNotWithExperts) {
  const auto series_of = [](int layers) {
    Metrics metrics;
    auto view = std::make_shared<JobView>(*View("job", 7));
    view->layers.assign(layers, FullLayer());
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
  EXPECT_LE(of_a_layer, 20);
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
  EXPECT_NEAR(page.Value("evenkeel_step_commit_seconds_sum", {{"job", "job"}}), 110.77341, 1e-9);
  EXPECT_EQ(page.Value("evenkeel_barrier_wait_seconds_count", {{"job", "job"}}), 4);
  EXPECT_NEAR(page.Value("evenkeel_barrier_wait_seconds_sum", {{"job", "job"}}), 100.7031, 1e-9);
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
  metrics.Publish(
      "gone", [] { return View("gone", 1); },
      [] {
        return Experts("gone", {1, 1});
      });
  EXPECT_THAT(metrics.ExpertText(), HasSubstr("gone"));
  metrics.Remove("gone");
  metrics.Remove("never was");
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("gone")));
  EXPECT_THAT(metrics.ExpertText(), Not(HasSubstr("gone")));
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

// The page of 61 layers costs no more than a scrape may, where names are no longer than this. One more character in
// them makes the page a good kilobyte larger.
TEST(MetricsTest, APageOf61LayersIsSmall) {
  Metrics metrics;
  auto view = std::make_shared<JobView>(*View("job", 1));
  view->layers.assign(61, FullLayer());
  for (size_t i = 0; i < view->layers.size(); ++i) view->layers[i].name = absl::StrCat("layers.", i, ".mlp");
  metrics.Publish(view);
  for (const char* method : {"Join", "Heartbeat", "ListJobs", "DescribeJob"}) {
    metrics.CountCall(method, absl::StatusCode::kOk, 0.001);
  }
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

}  // namespace
}  // namespace evenkeel::telemetry
