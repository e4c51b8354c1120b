#include "server/telemetry/expert_mode.h"

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace evenkeel::telemetry {
namespace {

using Kind = ExpertMode::Kind;

constexpr int kMostTop = 64;

}  // namespace

absl::StatusOr<ExpertMode> ParseExpertMode(absl::string_view text) {
  if (text == "off") return ExpertMode{Kind::kOff};
  if (text == "all") return ExpertMode{Kind::kAll};
  absl::string_view number = text;
  int top = 0;
  if (absl::ConsumePrefix(&number, "topk:") && absl::SimpleAtoi(number, &top) && top >= 1 && top <= kMostTop) {
    return ExpertMode{Kind::kTopK, top};
  }
  return absl::InvalidArgumentError(absl::StrCat("expert_metrics: \"", absl::CHexEscape(text),
                                                 "\" is not off, topk:N with N of 1 to ", kMostTop, ", or all"));
}

std::string NameOf(const ExpertMode& mode) {
  switch (mode.kind) {
    case Kind::kChosen:
      return "chosen";
    case Kind::kOff:
      return "off";
    case Kind::kTopK:
      return absl::StrCat("topk:", mode.top);
    case Kind::kAll:
      return "all";
  }
  return "";
}

ExpertMode Resolve(const ExpertMode& mode, int64_t experts) {
  if (mode.kind != Kind::kChosen) return mode;
  return {experts * kSeriesOfAnExpert <= ExpertMode::kMostSeries ? Kind::kAll : Kind::kTopK, mode.top};
}

}  // namespace evenkeel::telemetry
