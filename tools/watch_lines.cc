#include "tools/watch_lines.h"

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/json_text.h"
#include "tools/standouts.h"

namespace evenkeel::tools {
namespace {

// Null where the job has no layer.
const v1::LayerStatus* Worst(const v1::DescribeJobResponse& response) {
  const auto& layers = response.layers();
  const auto worst = std::max_element(
      layers.begin(), layers.end(), [](const auto& a, const auto& b) { return a.max_violation() < b.max_violation(); });
  return worst == layers.end() ? nullptr : &*worst;
}

}  // namespace

std::string WatchLine(const v1::DescribeJobResponse& response) {
  const v1::JobSummary& job = response.summary();
  std::string line =
      absl::StrFormat("step %d  epoch %d  max violation %.3f", job.version().step(), job.epoch(), job.max_violation());
  if (const v1::LayerStatus* worst = Worst(response); worst != nullptr) {
    absl::StrAppend(&line, "  worst ", absl::Utf8SafeCEscape(worst->name()),
                    worst->stream() == 0 ? "" : absl::StrCat("/", worst->stream()),
                    absl::StrFormat(" %.3f", worst->max_violation()));
  }
  absl::StrAppend(&line, "  joined ", job.joined(), "/", job.contributors());
  const std::vector<std::string> all = StandOuts(response);
  if (!all.empty()) absl::StrAppend(&line, "  ! ", all[0]);
  if (all.size() > 1) absl::StrAppend(&line, " (and ", all.size() - 1, " more)");
  return line;
}

std::string WatchLineJson(const v1::DescribeJobResponse& response) {
  const v1::JobSummary& job = response.summary();
  const v1::LayerStatus* worst = Worst(response);
  const std::string worst_json =
      worst == nullptr ? "null"
                       : absl::StrCat("{\"layer\": ", JsonString(worst->name()), ", \"stream\": ", worst->stream(),
                                      ", \"max_violation\": ", JsonNumber(worst->max_violation()), "}");
  return absl::StrCat("{\"job\": ", JsonString(job.name()), ", \"epoch\": ", job.epoch(),
                      ", \"step\": ", job.version().step(), ", \"open_step\": ", job.open_step(),
                      ", \"joined\": ", job.joined(), ", \"contributors\": ", job.contributors(),
                      ", \"max_violation\": ", JsonNumber(job.max_violation()), ", \"worst\": ", worst_json,
                      ", \"stand_outs\": ", JsonList(StandOuts(response), JsonString), "}");
}

}  // namespace evenkeel::tools
