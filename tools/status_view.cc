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
#include "tools/table.h"

namespace evenkeel::tools {
namespace {

constexpr Table::Align kLeft = Table::Align::kLeft;

// As 16 hex digits, the way logs show hashes and incarnations too.
std::string Hex(uint64_t value) { return absl::StrFormat("%016x", value); }

std::string Number(double value) { return absl::StrFormat("%.3f", value); }

std::string Joined(const v1::JobSummary& job) { return absl::StrCat(job.joined(), "/", job.contributors()); }

// Nothing, where the last step was routed with the version that was due.
std::string Staleness(const v1::JobSummary& job) {
  return job.staleness() == 0 ? "" : absl::StrCat("routed with a version ", job.staleness(), " steps late; ");
}

// "below min tokens"
std::string ReasonText(v1::UpdateReason::Kind reason) {
  const std::string word = v1::UpdateReason::Kind_Name(reason);
  return word.empty() ? absl::StrCat(reason) : absl::AsciiStrToLower(absl::StrReplaceAll(word, {{"_", " "}}));
}

std::string StateText(v1::ContributorState::Kind state) {
  const std::string word = v1::ContributorState::Kind_Name(state);
  return word.empty() ? absl::StrCat(state) : absl::AsciiStrToLower(word);
}

std::string Seconds(uint64_t milliseconds) { return absl::StrFormat("%.1f", static_cast<double>(milliseconds) / 1000); }

// Who keeps the step, and why the job has failed.
std::string ShowMissing(const v1::JobSummary& job) {
  std::string text;
  if (job.stragglers_size() > 0) {
    absl::StrAppend(&text, "step ", job.open_step(), " waits for contributor ", absl::StrJoin(job.stragglers(), ", "),
                    "\n");
  }
  if (!job.failure().empty()) absl::StrAppend(&text, "failed: ", absl::Utf8SafeCEscape(job.failure()), "\n");
  return text;
}

std::string ShowContributors(const v1::DescribeJobResponse& response) {
  Table table({{"contributor"},
               {"ranks", kLeft},
               {"incarnation", kLeft},
               {"state", kLeft},
               {"heard s ago"},
               {"pushed s ago"},
               {"host", kLeft},
               {"device", kLeft}});
  for (const v1::ContributorStatus& contributor : response.contributors()) {
    table.AddRow({absl::StrCat(contributor.contributor()), absl::StrJoin(contributor.ranks(), ","),
                  contributor.incarnation() == 0 ? "-" : Hex(contributor.incarnation()), StateText(contributor.state()),
                  contributor.has_heard_ms_ago() ? Seconds(contributor.heard_ms_ago()) : "",
                  contributor.has_pushed_ms_ago() ? Seconds(contributor.pushed_ms_ago()) : "",
                  contributor.worker().hostname(), contributor.worker().device()});
  }
  return table.Text();
}

// Streams and drops are shown where a layer has them.
std::string ShowLayers(const v1::DescribeJobResponse& response) {
  const auto& layers = response.layers();
  const bool streams = std::any_of(layers.begin(), layers.end(), [](const auto& layer) { return layer.stream() > 0; });
  const bool drops = std::any_of(layers.begin(), layers.end(), [](const auto& layer) { return layer.has_drop_rate(); });
  std::vector<Table::Column> columns = {{"layer", kLeft}};
  if (streams) columns.push_back({"stream"});
  for (const char* title : {"experts", "top_k", "last update"}) columns.push_back({title});
  columns.push_back({"why", kLeft});
  for (const char* title : {"max violation", "min", "avg", "cv", "entropy", "dead", "starved"}) {
    columns.push_back({title});
  }
  if (drops) columns.push_back({"dropped"});
  for (const char* title : {"bias min", "bias max"}) columns.push_back({title});

  Table table(std::move(columns));
  for (const v1::LayerStatus& layer : layers) {
    std::vector<std::string> cells = {layer.name()};
    if (streams) cells.push_back(absl::StrCat(layer.stream()));
    for (std::string cell :
         {absl::StrCat(layer.num_experts()), absl::StrCat(layer.top_k()), absl::StrCat(layer.last_update()),
          ReasonText(layer.last_reason()), Number(layer.max_violation()), Number(layer.min_violation()),
          Number(layer.avg_violation()), Number(layer.coefficient_of_variation()), Number(layer.normalized_entropy()),
          absl::StrCat(layer.dead_experts()), absl::StrCat(layer.starved_experts())}) {
      cells.push_back(std::move(cell));
    }
    if (drops) cells.push_back(layer.has_drop_rate() ? absl::StrFormat("%.4f", layer.drop_rate()) : "-");
    cells.push_back(absl::StrFormat("%.4f", layer.bias_min()));
    cells.push_back(absl::StrFormat("%.4f", layer.bias_max()));
    table.AddRow(std::move(cells));
  }
  return table.Text();
}

}  // namespace

std::string ShowJobs(const v1::ListJobsResponse& response) {
  if (response.jobs().empty()) return "no jobs; the first worker that joins makes one\n";
  Table table({{"job", kLeft},
               {"epoch"},
               {"step"},
               {"open step"},
               {"joined"},
               {"layers"},
               {"experts"},
               {"max violation"},
               {"state hash", kLeft}});
  for (const v1::JobSummary& job : response.jobs()) {
    table.AddRow({job.name(), absl::StrCat(job.epoch()), absl::StrCat(job.version().step()),
                  absl::StrCat(job.open_step()), Joined(job), absl::StrCat(job.layers()), absl::StrCat(job.experts()),
                  Number(job.max_violation()), Hex(job.state_hash())});
  }
  return table.Text();
}

std::string ShowJob(const v1::DescribeJobResponse& response) {
  const v1::JobSummary& job = response.summary();
  const std::string halt = response.has_halt() ? ShowHalt(job.name(), response.halt()) : "";
  const std::string changes =
      response.changes().empty() ? "" : absl::StrCat(ShowChanges(response.changes(), job.open_step()), "\n");
  return absl::StrFormat(
      "job %s: step %d committed in epoch %d, step %d open in epoch %d; %s contributors joined; "
      "max violation %s; %sstate hash %s\n%s%s\n%s%s\n%s",
      absl::Utf8SafeCEscape(job.name()), job.version().step(), job.version().epoch(), job.open_step(), job.epoch(),
      Joined(job), Number(job.max_violation()), Staleness(job), Hex(job.state_hash()), halt, ShowMissing(job), changes,
      ShowContributors(response), ShowLayers(response));
}

}  // namespace evenkeel::tools
