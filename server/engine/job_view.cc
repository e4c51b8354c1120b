#include "server/engine/job_view.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "job/job_plan.h"
#include "kernels/balance/load_metrics.h"
#include "server/core/layer_description.h"
#include "server/engine/worker_view.h"

namespace evenkeel::engine {

namespace {

constexpr size_t kMaxNamed = 3;

std::string NameOf(v1::Violation::Kind kind) { return absl::AsciiStrToLower(v1::Violation::Kind_Name(kind)); }
std::string NameOf(v1::ContributorState::Kind state) {
  return absl::AsciiStrToLower(v1::ContributorState::Kind_Name(state));
}
std::string NameOf(v1::UpdateReason::Kind reason) { return absl::AsciiStrToLower(v1::UpdateReason::Kind_Name(reason)); }

job::JobPlan PlanOf(const v1::JobState& state) {
  absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(state.spec(), state.fingerprint());
  EVENKEEL_CHECK(plan.ok());
  return *std::move(plan);
}

// Every word is there from the start, at 0.
void DescribeTotals(const JobTotals& totals, telemetry::JobView* view) {
  view->tokens_total = totals.tokens;
  view->stale_commits_total = totals.stale_commits;
  view->lost_contributions_total = totals.lost_contributions;
  view->missing_contributions_total = totals.missing_contributions;
  for (int kind = v1::Violation::Kind_MIN + 1; kind <= v1::Violation::Kind_MAX; ++kind) {
    view->invariant_failures_total[NameOf(static_cast<v1::Violation::Kind>(kind))] = totals.violations[kind];
  }
  for (int reason = v1::UpdateReason::MOVED + 1; reason <= v1::UpdateReason::Kind_MAX; ++reason) {
    view->skipped_updates_total[NameOf(static_cast<v1::UpdateReason::Kind>(reason))] = totals.updates[reason];
  }
}

telemetry::JobView::Layer LayerOf(const v1::LayerStatus& status) {
  telemetry::JobView::Layer layer;
  layer.name = status.name();
  layer.max_violation = status.max_violation();
  layer.min_violation = status.min_violation();
  layer.avg_violation = status.avg_violation();
  layer.last_update_step = status.last_update();
  if (status.has_drop_rate()) layer.drop_rate = status.drop_rate();
  layer.load_cv = status.coefficient_of_variation();
  layer.load_entropy = status.normalized_entropy();
  layer.noise_floor = status.noise_floor();
  layer.bias_min = status.bias_min();
  layer.bias_max = status.bias_max();
  layer.bias_stddev = status.bias_stddev();
  if (status.last_reason() != v1::UpdateReason::NEVER) layer.update_reason = NameOf(status.last_reason());
  if (!status.has_trend()) return layer;
  const v1::LayerTrend& trend = status.trend();
  layer.window_max_violation = trend.max_violation();
  layer.window_min_violation = trend.min_violation();
  layer.window_avg_violation = trend.avg_violation();
  layer.dead_experts = trend.dead_experts();
  layer.starved_experts = trend.starved_experts();
  layer.bias_update_max = trend.largest_update();
  layer.sign_flip_ratio = trend.sign_flip_ratio();
  return layer;
}

}  // namespace

void JobTotals::Add(const core::CommitEvent& commit) {
  tokens += commit.tokens;
  stale_commits += commit.staleness > 0;
  lost_contributions += commit.lost.size();
  missing_contributions += commit.missing.size();
}

void JobTotals::Add(const core::ViolationEvent& event) { ++violations[event.violation.kind()]; }

void JobTotals::Add(const v1::JobState& state) {
  for (const v1::LayerState& layer : state.layers()) ++updates[layer.last_reason()];
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
                                                      const core::Fleet& fleet, const JobTotals& totals) {
  auto view = std::make_shared<telemetry::JobView>();
  const v1::JobSummary& summary = description.summary();
  view->job = summary.name();
  view->epoch = summary.epoch();
  view->step = summary.version().step();
  view->contributors = summary.contributors();
  view->joined = summary.joined();
  view->staleness = summary.staleness();
  view->halted = description.has_halt();
  view->failed = !summary.failure().empty();
  for (int state = v1::ContributorState::Kind_MIN + 1; state <= v1::ContributorState::Kind_MAX; ++state) {
    view->contributors_by_state[NameOf(static_cast<v1::ContributorState::Kind>(state))] = 0;
  }
  for (const v1::ContributorCount& count : summary.counts()) {
    view->contributors_by_state[NameOf(count.state())] = count.contributors();
  }
  view->stragglers.assign(summary.stragglers().begin(), summary.stragglers().end());
  DescribeTotals(totals, view.get());
  DescribeWorkers(fleet, view.get());
  for (int i = 0; i < description.layers_size(); ++i) {
    const v1::LayerStatus& layer = description.layers(i);
    // Stream 0 of a layer stands before its others.
    const bool has_more = i + 1 < description.layers_size() && description.layers(i + 1).stream() > 0;
    view->layers.push_back(LayerOf(layer));
    if (layer.stream() > 0 || has_more) view->layers.back().stream = absl::StrCat(layer.stream());
  }
  return view;
}

telemetry::JobViewSource JobViewOf(Overview overview, JobTotals totals, std::shared_ptr<const v1::JobState> state,
                                   std::shared_ptr<const history::History> history) {
  return [overview = std::move(overview), totals, state = std::move(state), history = std::move(history)] {
    v1::DescribeJobResponse description = overview.description;
    core::DescribeLayers(PlanOf(*state), *state, &description);
    const std::optional<history::Picture> picture = history->Look(state->spec().name());
    if (picture.has_value()) history::DescribeTrends(*picture, description.mutable_layers());
    return MakeJobView(description, overview.fleet, totals);
  };
}

telemetry::ExpertViewSource ExpertViewOf(std::shared_ptr<const v1::JobState> state,
                                         std::shared_ptr<const history::History> history) {
  return [state = std::move(state), history = std::move(history)] {
    const job::JobPlan plan = PlanOf(*state);
    const std::optional<history::Picture> picture = history->Look(state->spec().name());
    auto view = std::make_shared<telemetry::ExpertView>();
    view->job = state->spec().name();
    for (int i = 0; i < plan.layers.size(); ++i) {
      const job::LayerTable::Row& row = plan.layers[i];
      telemetry::ExpertView::Layer& layer = view->layers.emplace_back();
      layer.name = row.name;
      if (row.streams > 1) layer.stream = absl::StrCat(row.stream);
      layer.load.resize(row.num_experts);
      balance::ComputeLoads(absl::MakeSpan(state->layers(i).last_counts()), plan.balance[i].target,
                            absl::MakeSpan(layer.load));
      layer.bias.assign(state->layers(i).bias().begin(), state->layers(i).bias().end());
      // A job of another shape may have had the name before.
      if (!picture.has_value() || picture->totals.size() != static_cast<size_t>(plan.layers.total_experts())) continue;
      const auto totals = absl::MakeConstSpan(picture->totals).subspan(row.offset, row.num_experts);
      layer.tokens_total.assign(totals.begin(), totals.end());
    }
    return view;
  };
}

}  // namespace evenkeel::engine
