// The metrics pages of a real evenkeeld, held against what its calls say.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/telemetry/parsed_page.h"
#include "tests/evenkeeld_process.h"
#include "tests/http_get.h"
#include "tests/protocol_client.h"
#include "tests/secure_coordinator.h"

namespace evenkeel::tests {
namespace {

using telemetry::ParsedPage;

constexpr int kSteps = 5;
constexpr char kJob[] = "team/run";

class MetricsPageTest : public testing::Test {
 protected:
  // A coordinator, and a job of one contributor that has been through kSteps.
  void Start(const std::vector<std::string>& flags) {
    EvenkeeldProcess::Options options;
    options.state_dir = NewFolder("state");
    options.flags = flags;
    auto process = EvenkeeldProcess::Start(options);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    stub_ = process_->NewStub();
    ASSERT_EQ(RunSteps(stub_.get(), kJob, 1, kSteps), kSteps);
  }

  std::string Text(const std::string& path) {
    const absl::StatusOr<std::string> text = HttpGet(process_->metrics_address(), path);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.value_or("");
  }
  ParsedPage Read(const std::string& path) {
    const absl::StatusOr<ParsedPage> page = telemetry::ParsePage(Text(path));
    EXPECT_TRUE(page.ok()) << page.status();
    return page.value_or(ParsedPage());
  }

  template <typename Request, typename Response>
  Response Call(grpc::Status (v1::BiasCoordinator::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                Request request, grpc::StatusCode code = grpc::StatusCode::OK) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    return response;
  }

  // Once it is answered, what it says is on the page too.
  v1::DescribeJobResponse Describe() {
    v1::DescribeJobRequest request;
    request.set_job(kJob);
    return Call(&v1::BiasCoordinator::Stub::DescribeJob, request);
  }

  std::unique_ptr<EvenkeeldProcess> process_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
};

TEST_F(MetricsPageTest, LayersAreAsDescribeJobHasThem) {
  Start({});
  const v1::DescribeJobResponse job = Describe();
  const ParsedPage page = Read("/metrics");
  ASSERT_EQ(job.layers_size(), 2);
  for (const v1::LayerStatus& layer : job.layers()) {
    const auto expect = [&](const std::string& name, double expected) {
      const double value = page.Value("evenkeel_layer_" + name, {{"job", kJob}, {"layer", layer.name()}});
      EXPECT_NEAR(value, expected, 1e-5 * std::abs(expected)) << name << " of layer " << layer.name();
    };
    EXPECT_EQ(layer.trend().window_steps(), static_cast<uint64_t>(kSteps));
    expect("max_violation_ratio", layer.max_violation());
    expect("window_max_violation_ratio", layer.trend().max_violation());
    expect("window_min_violation_ratio", layer.trend().min_violation());
    expect("window_avg_violation_ratio", layer.trend().avg_violation());
    expect("load_cv_ratio", layer.coefficient_of_variation());
    expect("load_entropy_ratio", layer.normalized_entropy());
    expect("noise_floor_ratio", layer.noise_floor());
    expect("dead_experts", layer.trend().dead_experts());
    expect("starved_experts", layer.trend().starved_experts());
    expect("bias_min", layer.bias_min());
    expect("bias_max", layer.bias_max());
    expect("bias_stddev", layer.bias_stddev());
    expect("bias_update_max", layer.trend().largest_update());
    expect("sign_flip_ratio", layer.trend().sign_flip_ratio());
    EXPECT_GT(layer.bias_stddev(), 0);
    EXPECT_EQ(page.Value("evenkeel_layer_update_reason", {{"job", kJob}, {"layer", layer.name()}, {"reason", "moved"}}),
              1);
  }
}

TEST_F(MetricsPageTest, TheJobTheProcessAndItsCallsAreThere) {
  Start({});
  Describe();
  v1::DescribeJobRequest unknown;
  unknown.set_job("unknown");
  Call(&v1::BiasCoordinator::Stub::DescribeJob, unknown, grpc::StatusCode::NOT_FOUND);
  const ParsedPage page = Read("/metrics");
  const auto calls = [&](const char* method, const char* code) {
    return page.Value("evenkeel_rpc_calls_total", {{"method", method}, {"code", code}});
  };
  EXPECT_EQ(calls("Join", "OK"), 1);
  EXPECT_EQ(calls("Push", "OK"), kSteps);
  EXPECT_EQ(calls("DescribeJob", "OK"), 1);
  EXPECT_EQ(calls("DescribeJob", "NOT_FOUND"), 1);
  EXPECT_EQ(page.Value("evenkeel_rpc_seconds_count", {{"method", "DescribeJob"}}), 2);
  EXPECT_TRUE(std::isnan(page.Value("evenkeel_rpc_seconds_count", {{"method", "Push"}}))) << "it waits for others";
  EXPECT_EQ(page.Value("evenkeel_barrier_wait_seconds_count", {{"job", kJob}}), kSteps);
  EXPECT_EQ(page.Value("evenkeel_ranks", {{"job", kJob}}), 1);
  EXPECT_EQ(page.Value("evenkeel_ranks_reporting", {{"job", kJob}}), 1);
  EXPECT_EQ(page.Value("evenkeel_worker_lag_steps", {{"job", kJob}}), 0);
  EXPECT_EQ(page.Value("evenkeel_worker_versions", {{"job", kJob}, {"what", "library_version"}}), 1);
  EXPECT_EQ(page.Value("evenkeel_updates_skipped_total", {{"job", kJob}, {"reason", "skipped"}}), 0);
  EXPECT_GE(page.Value("evenkeel_connections", {}), 1);
  EXPECT_GT(page.Value("evenkeel_store_bytes", {}), 1000);
  EXPECT_EQ(page.Value("evenkeel_store_failures_total", {}), 0);
  EXPECT_GT(page.Value("process_resident_memory_bytes", {}), 1e6);
  EXPECT_GT(page.Value("process_open_fds", {}), 3);
}

TEST_F(MetricsPageTest, ExpertsAreOnAPageOfTheirOwn) {
  Start({});
  Describe();
  const ParsedPage page = Read("/metrics/experts");
  EXPECT_EQ(page.families.at("evenkeel_expert_load_ratio").samples.size(), 4u + 8u);
  v1::GetStateRequest request;
  request.set_job(kJob);
  v1::JobState state;
  ASSERT_TRUE(state.ParseFromString(Call(&v1::BiasCoordinator::Stub::GetState, request).snapshot().state()));
  double tokens = 0;
  for (int expert = 0; expert < 4; ++expert) {
    const std::map<std::string, std::string> labels = {
        {"job", kJob}, {"layer", "a"}, {"expert", std::to_string(expert)}};
    EXPECT_NEAR(page.Value("evenkeel_expert_bias", labels), state.layers(0).bias(expert), 1e-6);
    const double mean = static_cast<double>(state.layers(0).last_tokens()) / 4;
    EXPECT_NEAR(page.Value("evenkeel_expert_load_ratio", labels),
                static_cast<double>(state.layers(0).last_counts(expert)) / mean, 1e-5);
    tokens += page.Value("evenkeel_expert_tokens_total", labels);
  }
  EXPECT_EQ(tokens, static_cast<double>(state.layers(0).total_tokens())) << "top 1";
  EXPECT_THAT(process_->Log(), testing::HasSubstr("/metrics/experts shows all"));
}

TEST_F(MetricsPageTest, TheFlagSaysWhichExperts) {
  Start({"--expert_metrics", "topk:2"});
  Describe();
  const ParsedPage page = Read("/metrics/experts");
  EXPECT_EQ(page.families.at("evenkeel_expert_hot_id").samples.size(), 4u) << "of each of two layers, two";
  EXPECT_EQ(page.families.count("evenkeel_expert_bias"), 0u);
  const Ending ending = RunEvenkeeld({"--state_dir", NewFolder("state"), "--expert_metrics", "most"});
  EXPECT_NE(ending.exit_code, 0);
  EXPECT_THAT(ending.stderr_text, testing::HasSubstr("expert_metrics: \"most\""));
}

TEST_F(MetricsPageTest, HistoryIsOfAllSteps) {
  Start({});
  v1::GetHistoryRequest request;
  request.set_job(kJob);
  request.set_layer("b");
  const v1::GetHistoryResponse history = Call(&v1::BiasCoordinator::Stub::GetHistory, request);
  EXPECT_EQ(history.steps_size(), kSteps);
  EXPECT_EQ(history.max_violation_size(), 2 * kSteps);
  EXPECT_EQ(history.bias_size(), 8 * kSteps);
  const v1::DescribeJobResponse job = Describe();
  EXPECT_FLOAT_EQ(history.max_violation(2 * kSteps - 1), static_cast<float>(job.layers(1).max_violation()));
  request.set_layer("c");
  Call(&v1::BiasCoordinator::Stub::GetHistory, request, grpc::StatusCode::INVALID_ARGUMENT);
  request.set_job("unknown");
  Call(&v1::BiasCoordinator::Stub::GetHistory, request, grpc::StatusCode::NOT_FOUND);
}

TEST_F(MetricsPageTest, PromtoolFindsNothingWrong) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "promtool (Debian package prometheus) is not installed";
  }
  for (const char* mode : {"all", "topk:2"}) {
    Start({"--expert_metrics", mode});
    for (const char* path : {"/metrics", "/metrics/experts"}) {
      const std::string text = Text(path);
      FILE* promtool = popen("promtool check metrics 2>&1", "w");
      ASSERT_NE(promtool, nullptr);
      EXPECT_EQ(fwrite(text.data(), 1, text.size(), promtool), text.size());
      EXPECT_EQ(pclose(promtool), 0) << path << " with " << mode;
    }
  }
}

}  // namespace
}  // namespace evenkeel::tests
