// The metrics pages and doc/metrics.md say the same.

#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/parsed_page.h"

namespace evenkeel::telemetry {
namespace {

struct Entry {
  std::string type;
  std::set<std::string> labels;
  std::string unit;
  std::string meaning;
};

bool operator==(const Entry& a, const Entry& b) {
  return std::tie(a.type, a.labels, a.meaning) == std::tie(b.type, b.labels, b.meaning);
}

std::ostream& operator<<(std::ostream& out, const Entry& entry) {
  out << entry.type << " {";
  for (const std::string& label : entry.labels) out << label << " ";
  return out << "} " << entry.meaning;
}

// The rows of the document's table, by the name of the metric.
std::map<std::string, Entry> Documented() {
  std::map<std::string, Entry> entries;
  std::ifstream document("doc/metrics.md");
  EXPECT_TRUE(document.is_open());
  for (std::string line; std::getline(document, line);) {
    if (!absl::StartsWith(line, "| `evenkeel_") && !absl::StartsWith(line, "| `process_")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    EXPECT_EQ(cells.size(), 5) << line;
    if (cells.size() != 5) continue;
    const std::string name(absl::StripSuffix(absl::StripPrefix(cells[0], "| `"), "`"));
    std::vector<std::string> labels = absl::StrSplit(cells[2], ", ");
    if (cells[2] == "none") labels.clear();
    EXPECT_EQ(entries.count(name), 0) << name << " is documented twice";
    entries[name] = {
        cells[1], {labels.begin(), labels.end()}, cells[3], std::string(absl::StripSuffix(cells[4], " |"))};
  }
  return entries;
}

// A job of which there is something to say everywhere.
std::shared_ptr<const JobView> FullView() {
  auto view = std::make_shared<JobView>();
  view->job = "job";
  view->invariant_failures_total["same_tokens"] = 1;
  view->skipped_updates_total["frozen"] = 1;
  view->contributors_by_state["lost"] = 1;
  view->stragglers = {7};
  view->workers = {{{}, 1}};
  for (const char* label : {"device", "compute_capability", "library_version", "driver_version", "cuda_version",
                            "nccl_version", "routing_paths"}) {
    view->workers[0].info[label] = "x";
  }
  view->worker_versions["device"] = 1;
  view->worker_staleness = view->worker_undelivered_steps = 1;
  view->worker_lost_steps_total = view->worker_commit_host_seconds = 1;
  JobView::Layer& layer = view->layers.emplace_back();
  layer.stream = "1";
  layer.drop_rate = layer.load_cv = layer.load_entropy = layer.noise_floor = layer.dead_experts = 0.5;
  layer.window_max_violation = layer.window_min_violation = layer.window_avg_violation = layer.starved_experts = 0.5;
  layer.bias_min = layer.bias_max = layer.bias_stddev = layer.bias_update_max = layer.sign_flip_ratio = 0.5;
  layer.update_reason = "moved";
  return view;
}

std::shared_ptr<const ExpertView> FullExperts() {
  auto view = std::make_shared<ExpertView>();
  view->job = "job";
  view->layers.push_back({"layer", "1", {1, 1}, {0, 0}, {3, 3}});
  return view;
}

// Adds what is on a page on which every metric has a sample.
void AddServed(const std::string& text, std::map<std::string, Entry>* entries) {
  const absl::StatusOr<ParsedPage> page = ParsePage(text);
  ASSERT_TRUE(page.ok()) << page.status();
  for (const auto& [name, family] : page->families) {
    Entry& entry = (*entries)[name];
    entry.type = family.type;
    entry.meaning = family.help;
    EXPECT_FALSE(family.samples.empty()) << name;
    for (const ParsedPage::Sample& sample : family.samples) {
      for (const auto& [label, value] : sample.labels) entry.labels.insert(label);
    }
    if (family.type == "histogram") entry.labels.erase("le");
  }
}

// Of all pages.
std::map<std::string, Entry> Served() {
  std::map<std::string, Entry> entries;
  for (const char* mode : {"all", "topk:1"}) {
    Metrics::Options options;
    options.experts = *ParseExpertMode(mode);
    options.state_dir = "doc";
    Metrics metrics(options);
    metrics.Publish("job", FullView, FullExperts);
    metrics.CountPush("job", "accepted");
    metrics.ObserveCommit("job", 1, 1);
    metrics.CountCall("Join", absl::StatusCode::kOk, 1);
    metrics.SetConnections([] { return 1; });
    AddServed(metrics.Text(), &entries);
    AddServed(metrics.ExpertText(), &entries);
  }
  return entries;
}

TEST(DocumentTest, EveryMetricIsDocumentedAsItIs) { EXPECT_EQ(Documented(), Served()); }

TEST(DocumentTest, NamesEndInTheirUnits) {
  for (const auto& [name, entry] : Documented()) {
    const absl::string_view base = absl::StripSuffix(name, "_total");
    for (const char* unit : {"seconds", "ratio", "bytes"}) {
      EXPECT_EQ(absl::EndsWith(base, unit), entry.unit == unit) << name << " in " << entry.unit;
    }
    EXPECT_EQ(absl::EndsWith(name, "_total"), entry.type == "counter") << name;
  }
}

}  // namespace
}  // namespace evenkeel::telemetry
