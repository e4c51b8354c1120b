#include "server/engine/job_view.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evenkeel::engine {

namespace {

constexpr size_t kMaxNamed = 3;

}  // namespace

void JobTotals::Add(const core::CommitEvent& commit) {
  tokens += commit.tokens;
  stale_commits += commit.staleness > 0;
  lost_contributions += commit.lost.size();
}

std::string LostLine(const core::CommitEvent& commit) {
  const size_t named = std::min(commit.lost.size(), kMaxNamed);
  const std::string names = absl::StrJoin(commit.lost.begin(), commit.lost.begin() + named, ", ");
  const std::string more = named < commit.lost.size() ? absl::StrCat(" and ", commit.lost.size() - named, " more") : "";
  return absl::StrCat("job \"", commit.job, "\": step ", commit.step,
                      " is committed without the counts of contributor ", names, more,
                      ", lost before they could be delivered");
}

std::string ConfigLine(const std::string& job, const v1::UpdateConfigResponse& response) {
  const int changes = response.changes_size();
  if (changes == 0) return absl::StrCat("job \"", job, "\": its config is the one that it was made with");
  const v1::ConfigChange& newest = response.changes(changes - 1);
  return absl::StrCat("job \"", job, "\": its config has changed ", changes - 1, changes == 2 ? " time" : " times",
                      ", last from step ", newest.from_step(), " on",
                      newest.note().empty() ? "" : absl::StrCat(" (", absl::CHexEscape(newest.note()), ")"));
}

std::shared_ptr<const telemetry::JobView> MakeJobView(const v1::DescribeJobResponse& description,
                                                      const JobTotals& totals) {
  auto view = std::make_shared<telemetry::JobView>();
  const v1::JobSummary& summary = description.summary();
  view->job = summary.name();
  view->epoch = summary.epoch();
  view->step = summary.version().step();
  view->contributors = summary.contributors();
  view->joined = summary.joined();
  view->staleness = summary.staleness();
  view->tokens_total = totals.tokens;
  view->stale_commits_total = totals.stale_commits;
  view->lost_contributions_total = totals.lost_contributions;
  for (const v1::LayerStatus& layer : description.layers()) {
    view->layers.push_back(
        {layer.name(), layer.max_violation(), layer.min_violation(), layer.avg_violation(), layer.last_update()});
  }
  return view;
}

}  // namespace evenkeel::engine
