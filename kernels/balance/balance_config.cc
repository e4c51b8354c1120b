#include "kernels/balance/balance_config.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evenkeel::balance {
namespace {

struct Preset {
  absl::string_view name;
  Rule rule;
  double rate;
  double momentum;
  bool ema_correction;
  Center center;
  double cap;
  CapMode cap_mode;
};

constexpr Preset kPresets[] = {
    {"loss_free", Rule::kSign, 1e-3, 0, false, Center::kNone, 0, CapMode::kAbsolute},
    {"deepseek_v3", Rule::kSign, 1e-3, 0, false, Center::kNone, 0, CapMode::kAbsolute},
    {"megatron", Rule::kSign, 1e-3, 0, false, Center::kNone, 0, CapMode::kAbsolute},
    {"torchtitan", Rule::kSign, 1e-3, 0, false, Center::kDelta, 0, CapMode::kAbsolute},
    {"axolotl_noaux_tc", Rule::kFrequency, 1e-2, 0.9, false, Center::kDelta, 2, CapMode::kAbsolute},
    {"evenkeel", Rule::kProportional, 1e-2, 0.9, true, Center::kState, 2, CapMode::kDeviation},
};

constexpr auto kPresetNames = [] {
  std::array<absl::string_view, std::size(kPresets)> names;
  for (size_t i = 0; i < names.size(); ++i) names[i] = kPresets[i].name;
  return names;
}();

// The shortest text that reads back as the same number.
template <typename T>
std::string Shown(T value) {
  std::array<char, 32> text;
  return std::string(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

template <typename T>
absl::Status Refused(absl::string_view field, T value, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": must be ", wanted, ", got ", Shown(value)));
}

bool FitsFloat(double value) { return std::abs(value) <= std::numeric_limits<float>::max(); }  // false for NaN

absl::Status ValidateRatio(const BalanceConfig& config, double ratio, absl::string_view field) {
  if (std::isfinite(ratio) && ratio >= 0 && config.rate * ratio <= kMaxRate) return absl::OkStatus();
  return Refused(field, ratio, "finite, >= 0 and at most 1e6 / rate");
}

absl::Status ValidateSchedule(const BalanceConfig& config) {
  const Schedule& schedule = config.schedule;
  const bool has_slope = schedule.kind == Schedule::Kind::kLinear || schedule.kind == Schedule::Kind::kCosine;
  if (has_slope && schedule.begin >= schedule.end) {
    return Refused("schedule.end", schedule.end, absl::StrCat("above schedule.begin = ", schedule.begin));
  }
  if (schedule.kind == Schedule::Kind::kToZero && schedule.begin == 0) {
    return Refused("schedule.begin", schedule.begin, "the position, >= 1, from which the rate is 0");
  }
  if (schedule.kind == Schedule::Kind::kSteps && schedule.points.empty()) {
    return Refused("schedule.points", schedule.points.size(), "at least one point");
  }
  absl::Status status = ValidateRatio(config, schedule.final_ratio, "schedule.final_ratio");
  for (size_t i = 0; i < schedule.points.size() && status.ok(); ++i) {
    const SchedulePoint& point = schedule.points[i];
    const std::string field = absl::StrCat("schedule.points[", i, "]");
    if (i > 0 && point.from_position <= schedule.points[i - 1].from_position) {
      return Refused(field + ".from_position", point.from_position, "above that of the point before");
    }
    status = ValidateRatio(config, point.ratio, field + ".ratio");
  }
  return status;
}

absl::Status ValidateTarget(const BalanceConfig& config, int num_experts) {
  const std::vector<float>& target = config.target;
  if (target.empty()) return absl::OkStatus();
  if (target.size() != static_cast<size_t>(num_experts)) {
    return Refused("target", target.size(), absl::StrCat("num_experts = ", num_experts, " entries"));
  }
  double sum = 0;
  bool any_moves = false;
  for (size_t i = 0; i < target.size(); ++i) {
    const std::string field = absl::StrCat("target[", i, "]");
    if (!std::isfinite(target[i]) || target[i] > 1) return Refused(field, target[i], "finite and <= 1");
    if (target[i] < 0) continue;
    if (config.rule == Rule::kProportional && target[i] < kMinProportionalTarget) {
      return Refused(field, target[i],
                     "at least 1e-9 under PROPORTIONAL, which divides by it, or negative for an expert that is never "
                     "moved");
    }
    any_moves = true;
    sum += target[i];
  }
  if (!any_moves) return Refused("target[0]", target[0], ">= 0, or another entry must: no expert would ever move");
  if (sum > 1 + kTargetSumSlack) return Refused("target", sum, "at most 1 in sum over entries >= 0");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BalanceConfig> FromPreset(absl::string_view name) {
  for (const Preset& preset : kPresets) {
    if (preset.name != name) continue;
    BalanceConfig config;
    config.rule = preset.rule;
    config.rate = preset.rate;
    config.momentum = preset.momentum;
    config.ema_correction = preset.ema_correction;
    config.center = preset.center;
    config.cap = preset.cap;
    config.cap_mode = preset.cap_mode;
    return config;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("preset: must be one of ", absl::StrJoin(kPresetNames, ", "), ", got \"", name, "\""));
}

absl::Span<const absl::string_view> PresetNames() { return kPresetNames; }

absl::Status Validate(const BalanceConfig& config, int num_experts) {
  if (num_experts < 1 || num_experts > kMaxExperts) return Refused("num_experts", num_experts, "1 to 16384");
  if (!(config.rate >= 0 && config.rate <= kMaxRate)) return Refused("rate", config.rate, "0 to 1e6");
  if (!(config.momentum >= 0 && static_cast<float>(config.momentum) < 1)) {
    return Refused("momentum", config.momentum, "0 or more and, as float32, less than 1");
  }
  if (!FitsFloat(config.cap)) return Refused("cap", config.cap, "a finite float32");
  if (config.cap > 0 && static_cast<float>(config.cap) == 0) {
    return Refused("cap", config.cap, "more than 0 as float32, or at most 0 for none");
  }
  if (absl::Status status = ValidateSchedule(config); !status.ok()) return status;
  return ValidateTarget(config, num_experts);
}

}  // namespace evenkeel::balance
