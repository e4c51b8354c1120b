// The metrics page and doc/metrics.md say the same.

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
    if (!absl::StartsWith(line, "| `evenkeel_")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    EXPECT_EQ(cells.size(), 5) << line;
    if (cells.size() != 5) continue;
    const std::string name(absl::StripSuffix(absl::StripPrefix(cells[0], "| `"), "`"));
    const std::vector<std::string> labels = absl::StrSplit(cells[2], ", ");
    EXPECT_EQ(entries.count(name), 0) << name << " is documented twice";
    entries[name] = {
        cells[1], {labels.begin(), labels.end()}, cells[3], std::string(absl::StripSuffix(cells[4], " |"))};
  }
  return entries;
}

// The same from a page on which every metric has a sample.
std::map<std::string, Entry> Served() {
  Metrics metrics;
  auto view = std::make_shared<JobView>();
  view->job = "job";
  view->layers.resize(1);
  view->invariant_failures_total["same_tokens"] = 1;
  view->contributors_by_state["lost"] = 1;
  view->stragglers = {7};
  view->layers[0].stream = "1";
  view->layers[0].drop_rate = 0.5;
  metrics.Publish(view);
  metrics.CountPush("job", "accepted");
  metrics.ObserveCommit("job", 1, 1);
  const absl::StatusOr<ParsedPage> page = ParsePage(metrics.Text());
  EXPECT_TRUE(page.ok()) << page.status();
  std::map<std::string, Entry> entries;
  for (const auto& [name, family] : page->families) {
    Entry& entry = entries[name];
    entry.type = family.type;
    entry.meaning = family.help;
    EXPECT_FALSE(family.samples.empty()) << name;
    for (const ParsedPage::Sample& sample : family.samples) {
      for (const auto& [label, value] : sample.labels) entry.labels.insert(label);
    }
    if (family.type == "histogram") entry.labels.erase("le");
  }
  return entries;
}

TEST(DocumentTest, EveryMetricIsDocumentedAsItIs) { EXPECT_EQ(Documented(), Served()); }

TEST(DocumentTest, NamesEndInTheirUnits) {
  for (const auto& [name, entry] : Documented()) {
    for (const char* unit : {"seconds", "ratio"}) {
      EXPECT_EQ(absl::EndsWith(name, unit), entry.unit == unit) << name << " in " << entry.unit;
    }
    EXPECT_EQ(absl::EndsWith(name, "_total"), entry.type == "counter") << name;
  }
}

}  // namespace
}  // namespace evenkeel::telemetry
