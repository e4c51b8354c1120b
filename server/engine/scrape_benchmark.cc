// What a scrape costs, in processor time and bytes, of the page and of the page of the experts at 61 layers of 256
// experts, made and packed (gzip, which Prometheus asks for) as the coordinator does; beside it the same series as
// gauges of prometheus-cpp in a registry.
//
//   bazel run -c opt //server/engine:scrape_benchmark -- [--json] [--layers 61] [--experts 256] [--scrapes 50]

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "job/job_plan.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/engine/job_view.h"
#include "server/history/history.h"
#include "server/http/gzip.h"
#include "server/telemetry/metrics.h"

ABSL_FLAG(bool, json, false, "One line of JSON.");
ABSL_FLAG(int, layers, 61, "Layers of the job.");
ABSL_FLAG(int, experts, 256, "Experts of each layer.");
ABSL_FLAG(int, scrapes, 50, "Scrapes of each kind, of which the median counts.");

namespace evenkeel {
namespace {

constexpr int kTopK = 8;
constexpr uint64_t kTokens = 32768;
constexpr int kSteps = 70;

// As such layers are called.
std::string LayerName(int64_t layer) { return absl::StrCat("model.layers.", layer, ".mlp.gate"); }

v1::JobSpec Spec() {
  v1::JobSpec spec;
  spec.set_name("pretrain");
  spec.set_contributors(1);
  for (int i = 0; i < absl::GetFlag(FLAGS_layers); ++i) {
    v1::LayerSpec* layer = spec.add_layers();
    layer->set_name(LayerName(i));
    layer->set_num_experts(absl::GetFlag(FLAGS_experts));
    layer->set_top_k(std::min(kTopK, absl::GetFlag(FLAGS_experts)));
  }
  return spec;
}

// The write of a commit with random counts and a random bias.
core::Write RandomCommit(const job::JobPlan& plan, uint64_t step, std::mt19937_64* random) {
  auto state = std::make_shared<v1::JobState>();
  *state->mutable_spec() = plan.effective;
  state->set_fingerprint(plan.fingerprint);
  state->mutable_version()->set_step(step);
  for (const job::LayerTable::Row& row : plan.layers.rows()) {
    v1::LayerState* layer = state->add_layers();
    layer->set_layer(row.name);
    layer->set_last_reason(v1::UpdateReason::MOVED);
    layer->set_last_update(step);
    layer->set_last_tokens(kTokens);
    for (int i = 0; i < row.num_experts; ++i) {
      layer->add_last_counts((*random)() % (2 * kTokens * kTopK / row.num_experts));
      layer->add_bias(static_cast<float>((*random)() % 100'000) * 1e-5F);
    }
  }
  core::Write write;
  write.job = plan.effective.name();
  write.state = std::move(state);
  write.commit.emplace();
  return write;
}

// Publishes a job that has been through some steps, as the engine does.
void PublishJob(telemetry::Metrics* metrics) {
  std::mt19937_64 random(1);
  const job::JobPlan plan = job::PlanJob(Spec(), v1::BalanceConfig(), job::NoLimits()).value();
  const auto history = std::make_shared<history::History>();
  core::Write write;
  for (uint64_t step = 1; step <= kSteps; ++step) {
    write = RandomCommit(plan, step, &random);
    history->Take(absl::MakeConstSpan(&write, 1));
  }
  engine::Overview overview;
  overview.description.mutable_summary()->set_name(write.job);
  overview.description.mutable_summary()->mutable_version()->set_step(kSteps);
  metrics->Publish(write.job, engine::JobViewOf(overview, {}, write.state, history),
                   engine::ExpertViewOf(write.state, history));
  metrics->ObserveCommit(write.job, .012, .0013);
  for (const char* result : {"accepted", "duplicate", "late"}) metrics->CountPush(write.job, result);
  for (const char* method : {"Join", "Heartbeat", "ListJobs", "DescribeJob"}) {
    metrics->CountCall(method, absl::StatusCode::kOk, .0007);
  }
}

double CpuSeconds() {
  timespec time = {};
  EVENKEEL_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Cost {
  int64_t series = 0;
  int64_t bytes = 0;  // of the text
  int64_t sent = 0;   // packed
  double cpu_ms = 0;  // to make and to pack it
};

int64_t CountSeries(const std::string& page) {
  int64_t series = 0;
  for (const absl::string_view line : absl::StrSplit(page, '\n')) series += !line.empty() && line[0] != '#';
  return series;
}

Cost Measure(const std::function<std::string()>& scrape) {
  const std::string page = scrape();
  std::vector<double> times;
  for (int i = 0; i < absl::GetFlag(FLAGS_scrapes); ++i) {
    const double start = CpuSeconds();
    const std::string again = http::Gzip(scrape());
    times.push_back((CpuSeconds() - start) * 1e3);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<ptrdiff_t>(times.size() / 2), times.end());
  return {CountSeries(page), static_cast<int64_t>(page.size()), static_cast<int64_t>(http::Gzip(page).size()),
          times[times.size() / 2]};
}

// So many gauges with the labels of an expert, or of a layer, set to numbers of sixteen digits.
Cost MeasureGauges(int64_t series) {
  prometheus::Registry registry;
  const int experts = absl::GetFlag(FLAGS_experts);
  std::mt19937_64 random(2);
  for (int64_t made = 0; made < series;) {
    auto& family = prometheus::BuildGauge().Name(absl::StrCat("gauge_", made)).Help("Help.").Register(registry);
    const int64_t most = series > 10'000 ? int64_t{absl::GetFlag(FLAGS_layers)} * experts : absl::GetFlag(FLAGS_layers);
    for (int64_t i = 0; i < most && made < series; ++i, ++made) {
      prometheus::Labels labels = {{"job", "pretrain"}, {"layer", LayerName(i / (most > 1000 ? experts : 1))}};
      if (most > 1000) labels["expert"] = absl::StrCat(i % experts);
      family.Add(labels).Set(std::uniform_real_distribution<>()(random));
    }
  }
  return Measure([&] { return prometheus::TextSerializer().Serialize(registry.Collect()); });
}

void Report(const char* page, const Cost& ours, const Cost& gauges) {
  const double ratio = ours.cpu_ms / gauges.cpu_ms;
  if (absl::GetFlag(FLAGS_json)) {
    std::printf(
        "{\"page\": \"%s\", \"layers\": %d, \"experts\": %d, \"cores\": %u, \"series\": %ld, \"bytes\": %ld, "
        "\"sent_bytes\": %ld, \"cpu_ms\": %.3f, \"gauges_bytes\": %ld, \"gauges_sent_bytes\": %ld, "
        "\"gauges_cpu_ms\": %.3f, \"ratio\": %.3f}\n",
        page, absl::GetFlag(FLAGS_layers), absl::GetFlag(FLAGS_experts), std::thread::hardware_concurrency(),
        ours.series, ours.bytes, ours.sent, ours.cpu_ms, gauges.bytes, gauges.sent, gauges.cpu_ms, ratio);
    return;
  }
  std::printf(
      "%-24s %8ld series, %9ld bytes of text, %7ld sent, %7.2f ms CPU; as gauges %7ld sent, %7.2f ms; ratio %.2f\n",
      page, ours.series, ours.bytes, ours.sent, ours.cpu_ms, gauges.sent, gauges.cpu_ms, ratio);
}

void Run() {
  if (!absl::GetFlag(FLAGS_json)) {
    std::printf("one job, %d layers of %d experts; median of %d scrapes; %u cores\n", absl::GetFlag(FLAGS_layers),
                absl::GetFlag(FLAGS_experts), absl::GetFlag(FLAGS_scrapes), std::thread::hardware_concurrency());
  }
  for (const char* mode : {"topk:8", "all"}) {
    telemetry::Metrics::Options options;
    options.experts = telemetry::ParseExpertMode(mode).value();
    telemetry::Metrics metrics(options);
    PublishJob(&metrics);
    if (mode == std::string("topk:8")) {
      const Cost page = Measure([&] { return metrics.Text(); });
      Report("/metrics", page, MeasureGauges(page.series));
    }
    const Cost experts = Measure([&] { return metrics.ExpertText(); });
    Report(absl::StrCat("/metrics/experts ", mode).c_str(), experts, MeasureGauges(experts.series));
  }
}

}  // namespace
}  // namespace evenkeel

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  evenkeel::Run();
  return 0;
}
