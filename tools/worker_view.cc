#include "tools/worker_view.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/number_list.h"
#include "tools/table.h"

namespace evenkeel::tools {
namespace {

// Values in descending order of how many have them.
template <typename Item>
std::vector<std::pair<std::string, std::vector<Item>>> ByFrequency(
    const std::map<std::string, std::vector<Item>>& items) {
  std::vector<std::pair<std::string, std::vector<Item>>> sorted(items.begin(), items.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
  return sorted;
}

std::string ComputeCapability(const v1::WorkerInfo& worker) {
  const int value = worker.compute_capability();
  return value == 0 ? "" : absl::StrCat(value / 10, ".", value % 10);
}

std::string Memory(const v1::WorkerInfo& worker) {
  if (worker.device_memory() == 0) return "";
  return absl::StrFormat("%.1f GiB", static_cast<double>(worker.device_memory()) / (1 << 30));
}

WorkerTrait TraitOf(const v1::DescribeJobResponse& response, const char* name,
                    const std::function<std::string(const v1::WorkerInfo&)>& text) {
  std::map<std::string, std::vector<int>> values;
  for (const v1::ContributorStatus& contributor : response.contributors()) {
    // A contributor that has not joined has told nothing.
    if (contributor.worker().ByteSizeLong() == 0) continue;
    values[text(contributor.worker())].push_back(contributor.contributor());
  }
  WorkerTrait trait = {name, {}};
  for (auto& [value, contributors] : ByFrequency(values)) {
    std::sort(contributors.begin(), contributors.end());
    trait.values.push_back({value.empty() ? "not told" : value, contributors});
  }
  const bool is_told = values.size() > 1 || (values.size() == 1 && !values.begin()->first.empty());
  if (!is_told) trait.values.clear();
  return trait;
}

}  // namespace

std::string RoutingText(const v1::WorkerInfo& worker) {
  std::map<std::string, std::vector<int>> paths;
  for (int i = 0; i < worker.routing_paths_size(); ++i) paths[worker.routing_paths(i)].push_back(i);
  std::vector<std::string> texts;
  for (const auto& [path, layers] : ByFrequency(paths)) {
    texts.push_back(absl::StrCat(layers.size(), layers.size() == 1 ? " layer: " : " layers: ", path));
  }
  return absl::StrJoin(texts, "; ");
}

std::vector<WorkerTrait> WorkerTraits(const v1::DescribeJobResponse& response) {
  using Worker = v1::WorkerInfo;
  const std::pair<const char*, std::function<std::string(const Worker&)>> known[] = {
      {"device", [](const Worker& worker) { return worker.device(); }},
      {"compute_capability", ComputeCapability},
      {"device_memory", Memory},
      {"library_version", [](const Worker& worker) { return worker.library_version(); }},
      {"driver_version", [](const Worker& worker) { return worker.driver_version(); }},
      {"cuda_version", [](const Worker& worker) { return worker.cuda_version(); }},
      {"nccl_version", [](const Worker& worker) { return worker.nccl_version(); }},
      {"routing_paths", RoutingText},
  };
  std::vector<WorkerTrait> traits;
  for (const auto& [name, text] : known) {
    WorkerTrait trait = TraitOf(response, name, text);
    if (!trait.values.empty()) traits.push_back(std::move(trait));
  }
  return traits;
}

std::string MixText(const WorkerTrait& trait) {
  std::vector<std::string> texts;
  for (const WorkerTrait::Value& value : trait.values) {
    const bool is_most = texts.empty();
    texts.push_back(absl::StrCat(absl::Utf8SafeCEscape(value.text), " (",
                                 is_most ? absl::StrCat(value.contributors.size(), " of them")
                                         : absl::StrCat("contributors ", NumberRanges(value.contributors)),
                                 ")"));
  }
  return absl::StrCat(trait.name, " is mixed: ", FirstOf(texts, 4));
}

std::string ShowWorkers(const v1::DescribeJobResponse& response) {
  const std::vector<WorkerTrait> traits = WorkerTraits(response);
  if (traits.empty()) return "";
  Table table({{"workers", Table::Align::kLeft}, {"", Table::Align::kLeft}, {"contributors", Table::Align::kLeft}});
  for (const WorkerTrait& trait : traits) {
    for (const WorkerTrait::Value& value : trait.values) {
      table.AddRow({trait.name, value.text, trait.is_mixed() ? NumberRanges(value.contributors) : "all that told"});
    }
  }
  return table.Text();
}

}  // namespace evenkeel::tools
