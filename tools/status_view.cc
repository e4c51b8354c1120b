#include "tools/status_view.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "tools/config_view.h"
#include "tools/layer_names.h"
#include "tools/number_list.h"
#include "tools/standouts.h"
#include "tools/table.h"
#include "tools/worker_view.h"

namespace evenkeel::tools {
namespace {

constexpr Table::Align kLeft = Table::Align::kLeft;

// As 16 hex digits, the way logs show hashes and incarnations too.
std::string Hex(uint64_t value) { return absl::StrFormat("%016x", value); }

std::string Number(double value) { return absl::StrFormat("%.3f", value); }

std::string Joined(const v1::JobSummary& job) { return absl::StrCat(job.joined(), "/", job.contributors()); }

// "below min tokens"
std::string ReasonText(v1::UpdateReason::Kind reason) {
  const std::string word = v1::UpdateReason::Kind_Name(reason);
  return word.empty() ? absl::StrCat(reason) : absl::AsciiStrToLower(absl::StrReplaceAll(word, {{"_", " "}}));
}

std::string StateText(v1::ContributorState::Kind state) {
  const std::string word = v1::ContributorState::Kind_Name(state);
  return word.empty() ? absl::StrCat(state) : absl::AsciiStrToLower(word);
}

std::string RankRanges(const v1::ContributorStatus& contributor) {
  return NumberRanges({contributor.ranks().begin(), contributor.ranks().end()});
}

std::string Microseconds(uint64_t nanoseconds) {
  return nanoseconds == 0 ? "" : absl::StrFormat("%.1f", static_cast<double>(nanoseconds) / 1000);
}

std::string Seconds(uint64_t milliseconds) { return absl::StrFormat("%.1f", static_cast<double>(milliseconds) / 1000); }

// Those that are not in order, then the others, by number.
std::vector<const v1::ContributorStatus*> OutOfOrderFirst(const v1::DescribeJobResponse& response) {
  std::vector<const v1::ContributorStatus*> contributors;
  for (const v1::ContributorStatus& contributor : response.contributors()) contributors.push_back(&contributor);
  std::stable_partition(contributors.begin(), contributors.end(),
                        [](const v1::ContributorStatus* contributor) { return IsOutOfOrder(*contributor); });
  return contributors;
}

std::string ShowRest(size_t rest, const char* what, const char* flag) {
  if (rest == 0) return "";
  return absl::StrCat("  and ", rest, " more ", what, "; ", flag, " all shows them\n");
}

std::vector<std::string> FigureCells(const v1::ContributorStatus& contributor) {
  if (!contributor.has_figures()) return {"", "", "", ""};
  const v1::WorkerFigures& figures = contributor.figures();
  return {absl::StrCat(figures.staleness()), absl::StrCat(figures.undelivered_steps()),
          absl::StrCat(figures.lost_steps()), Microseconds(figures.commit_host_ns())};
}

// Figures are shown where a worker tells them.
std::string ShowContributors(const v1::DescribeJobResponse& response, size_t most) {
  const auto& all = response.contributors();
  const bool figures = std::any_of(all.begin(), all.end(), [](const auto& one) { return one.has_figures(); });
  std::vector<Table::Column> columns = {{"contributor"}, {"ranks", kLeft}, {"incarnation", kLeft}, {"state", kLeft},
                                        {"heard s ago"}, {"pushed s ago"}, {"host", kLeft},        {"device", kLeft}};
  if (figures) {
    for (const char* title : {"stale", "undelivered", "lost", "commit us"}) columns.push_back({title});
  }
  Table table(std::move(columns));
  size_t in_order = 0;
  for (const v1::ContributorStatus* contributor : OutOfOrderFirst(response)) {
    if (!IsOutOfOrder(*contributor) && ++in_order > most) continue;
    std::vector<std::string> cells = {absl::StrCat(contributor->contributor()),
                                      RankRanges(*contributor),
                                      contributor->incarnation() == 0 ? "-" : Hex(contributor->incarnation()),
                                      StateText(contributor->state()),
                                      contributor->has_heard_ms_ago() ? Seconds(contributor->heard_ms_ago()) : "",
                                      contributor->has_pushed_ms_ago() ? Seconds(contributor->pushed_ms_ago()) : "",
                                      contributor->worker().hostname(),
                                      contributor->worker().device()};
    if (figures) {
      for (std::string& cell : FigureCells(*contributor)) cells.push_back(std::move(cell));
    }
    table.AddRow(std::move(cells));
  }
  return absl::StrCat(table.Text(),
                      ShowRest(in_order - std::min(in_order, most), "contributors, all in order", "--contributors"));
}

std::vector<const v1::LayerStatus*> SortedLayers(const v1::DescribeJobResponse& response, bool by_name) {
  std::vector<const v1::LayerStatus*> layers;
  for (const v1::LayerStatus& layer : response.layers()) layers.push_back(&layer);
  std::stable_sort(layers.begin(), layers.end(), [&](const v1::LayerStatus* a, const v1::LayerStatus* b) {
    return by_name ? NaturalLess(a->name(), b->name()) : a->max_violation() > b->max_violation();
  });
  return layers;
}

// Streams and drops are shown where a layer has them.
std::string ShowLayers(const v1::DescribeJobResponse& response, const JobViewOptions& options) {
  const auto& layers = response.layers();
  const bool streams = std::any_of(layers.begin(), layers.end(), [](const auto& layer) { return layer.stream() > 0; });
  const bool floors =
      std::any_of(layers.begin(), layers.end(), [](const auto& layer) { return layer.noise_floor() > 0; });
  const bool drops = std::any_of(layers.begin(), layers.end(), [](const auto& layer) { return layer.has_drop_rate(); });
  std::vector<Table::Column> columns = {{"layer", kLeft}};
  if (streams) columns.push_back({"stream"});
  for (const char* title : {"experts", "top_k", "last update"}) columns.push_back({title});
  columns.push_back({"why", kLeft});
  columns.push_back({"max violation"});
  if (floors) columns.push_back({"noise floor"});
  for (const char* title : {"min", "avg", "cv", "entropy", "dead", "starved"}) columns.push_back({title});
  if (drops) columns.push_back({"dropped"});
  for (const char* title : {"bias min", "bias max"}) columns.push_back({title});

  Table table(std::move(columns));
  const std::vector<const v1::LayerStatus*> sorted = SortedLayers(response, options.by_name);
  const size_t shown = std::min(options.layers, sorted.size());
  for (size_t i = 0; i < shown; ++i) {
    const v1::LayerStatus& layer = *sorted[i];
    std::vector<std::string> cells = {layer.name()};
    if (streams) cells.push_back(absl::StrCat(layer.stream()));
    for (std::string cell :
         {absl::StrCat(layer.num_experts()), absl::StrCat(layer.top_k()), absl::StrCat(layer.last_update()),
          ReasonText(layer.last_reason()), Number(layer.max_violation())}) {
      cells.push_back(std::move(cell));
    }
    if (floors) cells.push_back(Number(layer.noise_floor()));
    for (std::string cell : {Number(layer.min_violation()), Number(layer.avg_violation()),
                             Number(layer.coefficient_of_variation()), Number(layer.normalized_entropy()),
                             absl::StrCat(layer.dead_experts()), absl::StrCat(layer.starved_experts())}) {
      cells.push_back(std::move(cell));
    }
    if (drops) cells.push_back(layer.has_drop_rate() ? absl::StrFormat("%.4f", layer.drop_rate()) : "-");
    cells.push_back(absl::StrFormat("%.4f", layer.bias_min()));
    cells.push_back(absl::StrFormat("%.4f", layer.bias_max()));
    table.AddRow(std::move(cells));
  }
  return absl::StrCat(table.Text(), ShowRest(sorted.size() - shown, "layers", "--layers"));
}

std::string ShowStandOuts(const v1::DescribeJobResponse& response) {
  std::string text;
  for (const std::string& sentence : StandOuts(response)) absl::StrAppend(&text, "  ! ", sentence, "\n");
  return text;
}

// A part of the page behind an empty line; nothing where there is nothing to show.
std::string Part(const std::string& text) { return text.empty() ? "" : absl::StrCat("\n", text); }

// "halted", "failed" and who keeps the step, as far as a summary tells.
std::string TroubleOf(const v1::JobSummary& job, bool is_halted) {
  std::vector<std::string> words;
  if (is_halted) words.emplace_back("halted");
  if (!job.failure().empty()) words.push_back(absl::StrCat("failed: ", absl::Utf8SafeCEscape(job.failure())));
  if (job.stragglers_size() > 0) {
    words.push_back(absl::StrCat("waits for contributor ", absl::StrJoin(job.stragglers(), ", ")));
  }
  for (const v1::ContributorCount& count : job.counts()) {
    const auto state = count.state();
    if (state != v1::ContributorState::LOST && state != v1::ContributorState::LATE) continue;
    if (count.contributors() > 0) words.push_back(absl::StrCat(count.contributors(), " ", StateText(state)));
  }
  return absl::StrJoin(words, "; ");
}

}  // namespace

std::string ShowJobs(const v1::ListJobsResponse& response, const std::set<std::string>& halted) {
  if (response.jobs().empty()) return "no jobs; the first worker that joins makes one\n";
  std::vector<const v1::JobSummary*> jobs;
  for (const v1::JobSummary& job : response.jobs()) jobs.push_back(&job);
  const auto is_in_trouble = [&](const v1::JobSummary* job) {
    return halted.count(job->name()) > 0 || IsInTrouble(*job);
  };
  const auto in_order = std::stable_partition(jobs.begin(), jobs.end(), is_in_trouble);
  Table table({{"job", kLeft},
               {"epoch"},
               {"step"},
               {"open step"},
               {"joined"},
               {"layers"},
               {"experts"},
               {"max violation"},
               {"state hash", kLeft}});
  for (const v1::JobSummary* job : jobs) {
    table.AddRow({job->name(), absl::StrCat(job->epoch()), absl::StrCat(job->version().step()),
                  absl::StrCat(job->open_step()), Joined(*job), absl::StrCat(job->layers()),
                  absl::StrCat(job->experts()), Number(job->max_violation()), Hex(job->state_hash())});
  }
  std::string troubles;
  for (auto job = jobs.begin(); job != in_order; ++job) {
    absl::StrAppend(&troubles, "  ! ", absl::Utf8SafeCEscape((*job)->name()), ": ",
                    TroubleOf(**job, halted.count((*job)->name()) > 0), "\n");
  }
  return absl::StrCat(table.Text(), Part(troubles));
}

std::string ShowJob(const v1::DescribeJobResponse& response, const JobViewOptions& options) {
  const v1::JobSummary& job = response.summary();
  const std::string changes = response.changes().empty() ? "" : ShowChanges(response.changes(), job.open_step());
  return absl::StrFormat(
      "job %s: step %d committed in epoch %d, step %d open in epoch %d; %s contributors joined; "
      "max violation %s; state hash %s\n%s%s%s\n%s\n%s",
      absl::Utf8SafeCEscape(job.name()), job.version().step(), job.version().epoch(), job.open_step(), job.epoch(),
      Joined(job), Number(job.max_violation()), Hex(job.state_hash()), Part(ShowStandOuts(response)),
      Part(ShowWorkers(response)), Part(changes), ShowContributors(response, options.contributors),
      ShowLayers(response, options));
}

}  // namespace evenkeel::tools
