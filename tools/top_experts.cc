#include "tools/top_experts.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/json_text.h"
#include "tools/table.h"

namespace evenkeel::tools {

std::vector<RankedExpert> TopExperts(const std::vector<LoadRow>& rows, int count, bool cold) {
  std::vector<RankedExpert> experts;
  for (const LoadRow& row : rows) {
    for (size_t expert = 0; expert < row.loads.size(); ++expert) {
      if (!std::isnan(row.loads[expert])) experts.push_back({&row, static_cast<int>(expert)});
    }
  }
  std::stable_sort(experts.begin(), experts.end(), [cold](const RankedExpert& a, const RankedExpert& b) {
    return cold ? a.load() < b.load() : a.load() > b.load();
  });
  experts.resize(std::min(experts.size(), static_cast<size_t>(count)));
  return experts;
}

std::string ShowTopExperts(const std::vector<RankedExpert>& experts) {
  const bool streams =
      std::any_of(experts.begin(), experts.end(), [](const RankedExpert& expert) { return expert.row->stream > 0; });
  std::vector<Table::Column> columns = {{"layer", Table::Align::kLeft}};
  if (streams) columns.push_back({"stream"});
  for (const char* title : {"expert", "load", "tokens", "bias"}) columns.push_back({title});
  Table table(std::move(columns));
  for (const RankedExpert& one : experts) {
    std::vector<std::string> cells = {one.row->layer};
    if (streams) cells.push_back(absl::StrCat(one.row->stream));
    cells.push_back(absl::StrCat(one.expert));
    cells.push_back(absl::StrFormat("%.3f", one.load()));
    cells.push_back(absl::StrCat(one.row->counts[one.expert]));
    cells.push_back(absl::StrFormat("%.4f", one.row->bias[one.expert]));
    table.AddRow(std::move(cells));
  }
  return table.Text();
}

std::string TopExpertsJson(const std::vector<RankedExpert>& experts) {
  return JsonList(experts, [](const RankedExpert& one) {
    return absl::StrCat("\n  {\"layer\": ", JsonString(one.row->layer), ", \"stream\": ", one.row->stream,
                        ", \"expert\": ", one.expert, ", \"load\": ", JsonNumber(one.load()),
                        ", \"tokens\": ", one.row->counts[one.expert],
                        ", \"bias\": ", JsonNumber(one.row->bias[one.expert]), "}");
  });
}

}  // namespace evenkeel::tools
