#include "server/engine/job_view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "job/job_plan.h"
#include "server/core/layer_description.h"

namespace evenkeel::engine {

namespace {

constexpr size_t kMaxNamed = 3;

std::string NameOf(v1::Violation::Kind kind) { return absl::AsciiStrToLower(v1::Violation::Kind_Name(kind)); }
std::string NameOf(v1::ContributorState::Kind state) {
  return absl::AsciiStrToLower(v1::ContributorState::Kind_Name(state));
}

}  // namespace

void JobTotals::Add(const core::CommitEvent& commit) {
  tokens += commit.tokens;
  stale_commits += commit.staleness > 0;
  lost_contributions += commit.lost.size();
  missing_contributions += commit.missing.size();
}

void JobTotals::Add(const core::ViolationEvent& event) { ++violations[NameOf(event.violation.kind())]; }

std::map<std::string, uint64_t> JobTotals::NoViolations() {
  std::map<std::string, uint64_t> none;
  for (int kind = v1::Violation::Kind_MIN + 1; kind <= v1::Violation::Kind_MAX; ++kind) {
    none[NameOf(static_cast<v1::Violation::Kind>(kind))] = 0;
  }
  return none;
}

std::string ViolationLine(const core::ViolationEvent& event) {
  return absl::StrCat("job \"", event.job, "\", step ", event.step, ": ",
                      absl::StrReplaceAll(NameOf(event.violation.kind()), {{"_", " "}}), ": ",
                      event.violation.message());
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
  view->invariant_failures_total = totals.violations;
  view->missing_contributions_total = totals.missing_contributions;
  view->halted = description.has_halt();
  view->failed = !summary.failure().empty();
  for (int state = v1::ContributorState::Kind_MIN + 1; state <= v1::ContributorState::Kind_MAX; ++state) {
    view->contributors_by_state[NameOf(static_cast<v1::ContributorState::Kind>(state))] = 0;
  }
  for (const v1::ContributorCount& count : summary.counts()) {
    view->contributors_by_state[NameOf(count.state())] = count.contributors();
  }
  view->stragglers.assign(summary.stragglers().begin(), summary.stragglers().end());
  for (int i = 0; i < description.layers_size(); ++i) {
    const v1::LayerStatus& layer = description.layers(i);
    // Stream 0 of a layer stands before its others.
    const bool has_more = i + 1 < description.layers_size() && description.layers(i + 1).stream() > 0;
    const std::string stream = layer.stream() > 0 || has_more ? absl::StrCat(layer.stream()) : "";
    view->layers.push_back(
        {layer.name(), layer.max_violation(), layer.min_violation(), layer.avg_violation(), layer.last_update()});
    view->layers.back().stream = stream;
    if (layer.has_drop_rate()) view->layers.back().drop_rate = layer.drop_rate();
  }
  return view;
}

telemetry::JobViewSource JobViewOf(v1::DescribeJobResponse overview, JobTotals totals,
                                   std::shared_ptr<const v1::JobState> state) {
  return [overview = std::move(overview), totals = std::move(totals), state = std::move(state)] {
    const absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(state->spec(), state->fingerprint());
    EVENKEEL_CHECK(plan.ok());
    v1::DescribeJobResponse description = overview;
    core::DescribeLayers(*plan, *state, &description);
    return MakeJobView(description, totals);
  };
}

}  // namespace evenkeel::engine
