#include "server/engine/worker_view.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evenkeel::engine {
namespace {

// What workers say of themselves goes to the page no longer, and in no more kinds: the rest are one more kind.
constexpr size_t kLongestText = 100;
constexpr size_t kMostKinds = 16;

using Info = std::map<std::string, std::string>;

std::string Shortened(const std::string& text) {
  size_t end = std::min(text.size(), kLongestText);
  // Not within a character of UTF-8.
  while (end < text.size() && end > 0 && (text[end] & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

// Each path once, in the order of the layers that first have it.
std::string PathsOf(const v1::WorkerInfo& worker) {
  std::vector<std::string> paths;
  for (const std::string& path : worker.routing_paths()) {
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
  }
  return absl::StrJoin(paths, ",");
}

Info InfoOf(const v1::WorkerInfo& worker) {
  const int capability = worker.compute_capability();
  Info info = {{"library_version", worker.library_version()},
               {"device", worker.device()},
               {"compute_capability", capability == 0 ? "" : absl::StrCat(capability / 10, ".", capability % 10)},
               {"driver_version", worker.driver_version()},
               {"cuda_version", worker.cuda_version()},
               {"nccl_version", worker.nccl_version()},
               {"routing_paths", PathsOf(worker)}};
  for (auto& [name, value] : info) value = Shortened(value);
  return info;
}

// Those that most workers are of first; in one named "others" what is beyond kMostKinds.
std::vector<telemetry::JobView::Workers> KindsOf(const std::map<Info, int>& counts) {
  std::vector<telemetry::JobView::Workers> kinds;
  for (const auto& [info, count] : counts) kinds.push_back({info, count});
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto& a, const auto& b) { return a.contributors > b.contributors; });
  if (kinds.size() <= kMostKinds) return kinds;
  Info others = kinds[0].info;
  for (auto& [name, value] : others) value = "others";
  int contributors = 0;
  for (size_t i = kMostKinds; i < kinds.size(); ++i) contributors += kinds[i].contributors;
  kinds.resize(kMostKinds);
  kinds.push_back({std::move(others), contributors});
  return kinds;
}

std::map<std::string, int> VersionsOf(const std::vector<std::shared_ptr<const v1::WorkerInfo>>& workers) {
  std::map<std::string, std::set<std::string>> values = {{"library_version", {}}, {"device", {}},
                                                         {"driver_version", {}},  {"cuda_version", {}},
                                                         {"nccl_version", {}},    {"routing_paths", {}}};
  for (const std::shared_ptr<const v1::WorkerInfo>& worker : workers) {
    values["library_version"].insert(worker->library_version());
    values["device"].insert(worker->device());
    values["driver_version"].insert(worker->driver_version());
    values["cuda_version"].insert(worker->cuda_version());
    values["nccl_version"].insert(worker->nccl_version());
    // Of every layer: the same paths at other layers are others.
    values["routing_paths"].insert(absl::StrJoin(worker->routing_paths(), "\n"));
  }
  std::map<std::string, int> versions;
  for (const auto& [what, different] : values) versions[what] = static_cast<int>(different.size());
  return versions;
}

}  // namespace

void DescribeWorkers(const core::Fleet& fleet, telemetry::JobView* view) {
  view->lag_steps = fleet.lag_steps;
  view->ranks = fleet.ranks;
  view->ranks_reporting = fleet.ranks_reporting;
  std::map<Info, int> kinds;
  for (const std::shared_ptr<const v1::WorkerInfo>& worker : fleet.workers) ++kinds[InfoOf(*worker)];
  view->workers = KindsOf(kinds);
  view->worker_versions = VersionsOf(fleet.workers);
  if (!fleet.has_figures) return;
  view->worker_staleness = static_cast<double>(fleet.figures.staleness());
  view->worker_undelivered_steps = static_cast<double>(fleet.figures.undelivered_steps());
  view->worker_lost_steps_total = static_cast<double>(fleet.figures.lost_steps());
  view->worker_commit_host_seconds = static_cast<double>(fleet.figures.max_commit_host_ns()) * 1e-9;
}

}  // namespace evenkeel::engine
