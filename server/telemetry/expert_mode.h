#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace evenkeel::telemetry {

// How much the page of the experts shows.
struct ExpertMode {
  enum class Kind {
    kChosen,  // kAll up to kMostSeries, kTopK above
    kOff,
    kTopK,
    kAll,
  };
  // Of kChosen, in all.
  static constexpr int64_t kMostSeries = 32'768;

  Kind kind = Kind::kChosen;
  // Of each layer, the fullest and the emptiest.
  int top = 8;
};

// "off", "topk:N" with N of 1 to 64, or "all". INVALID_ARGUMENT, naming expert_metrics and the text, for anything else.
absl::StatusOr<ExpertMode> ParseExpertMode(absl::string_view text);

// As ParseExpertMode reads it; "chosen" for what it never gives.
std::string NameOf(const ExpertMode& mode);

// The mode in force where so many experts would have series.
ExpertMode Resolve(const ExpertMode& mode, int64_t experts);

// Series of each expert in mode kAll.
inline constexpr int kSeriesOfAnExpert = 3;

}  // namespace evenkeel::telemetry
