#include "tests/load/load_case.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace evenkeel::load {
namespace {

struct Range {
  const char* name;
  int least, most;
  int LoadCase::*field;
};

constexpr Range kRanges[] = {
    {"workers", 1, 1024, &LoadCase::workers},
    {"layers", 1, 256, &LoadCase::layers},
    {"experts", LoadCase::kTopK, 1024, &LoadCase::experts},
};

}  // namespace

std::string LoadCase::name() const {
  const std::string shape = absl::StrCat(workers, "x", layers, "x", experts);
  return jobs == 1 ? shape : absl::StrCat(jobs, " jobs of ", shape);
}

absl::StatusOr<LoadCase> ParseLoadCase(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, 'x');
  if (parts.size() != 3) {
    return absl::InvalidArgumentError(absl::StrCat("case \"", text, "\" is not WORKERSxLAYERSxEXPERTS"));
  }
  LoadCase load_case;
  for (int i = 0; i < 3; ++i) {
    const Range& range = kRanges[i];
    int value = 0;
    if (!absl::SimpleAtoi(parts[i], &value) || value < range.least || value > range.most) {
      return absl::InvalidArgumentError(absl::StrCat("case \"", text, "\": ", range.name, " is ", parts[i], "; ",
                                                     range.least, " to ", range.most, " are allowed"));
    }
    load_case.*range.field = value;
  }
  return load_case;
}

absl::StatusOr<std::vector<LoadCase>> ParseLoadCases(absl::string_view text) {
  std::vector<LoadCase> cases;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    EVENKEEL_ASSIGN_OR_RETURN(const LoadCase load_case, ParseLoadCase(part));
    cases.push_back(load_case);
  }
  return cases;
}

}  // namespace evenkeel::load
