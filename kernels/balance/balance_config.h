#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernels/balance/rule.h"

// What decides how the counts of a layer move its bias. Plain data: copy it freely, share it between threads
// for reading. A config from outside goes through Validate() before it reaches Update().
namespace evenkeel::balance {

inline constexpr int kMaxExperts = 16384;

struct SchedulePoint {
  uint64_t from_position;  // first position at which the ratio holds
  double ratio;            // multiplies the rate; finite, >= 0
};

// The rate as a function of the position, see schedule.h.
struct Schedule {
  enum class Kind {
    kConstant,
    kLinear,  // ratio 1 until `begin`, then straight to `final_ratio` at `end`, flat after
    kCosine,  // likewise, along half a cosine
    kSteps,   // the ratio of the last point reached, 1 before the first
    kToZero,  // ratio 1 before `begin`, exactly 0 from `begin` on (DeepSeek-V3, arXiv 2412.19437 section 4.2)
  };
  Kind kind = Kind::kConstant;
  uint64_t begin = 0;  // position; kLinear, kCosine, kToZero
  uint64_t end = 0;    // position; kLinear, kCosine
  double final_ratio = 0;
  std::vector<SchedulePoint> points;  // kSteps: positions strictly ascending
};

// The defaults are those of the preset "evenkeel".
struct BalanceConfig {
  Rule rule = Rule::kProportional;
  double rate = 1e-2;  // >= 0; 0 leaves the layer as it is
  Schedule schedule;
  double momentum = 0.9;       // of the EMA: 0 <= momentum < 1; 0 uses the step's own error
  bool ema_correction = true;  // divide the EMA by 1 - momentum^t
  Center center = Center::kState;
  double cap = 2.0;  // <= 0: none
  CapMode cap_mode = CapMode::kDeviation;
  uint64_t warmup_steps = 0;  // nothing moves while position <= warmup_steps
  // Wanted share of ALL assignments of the layer, per expert; empty: 1 / num_experts each. A negative entry
  // marks an expert that is counted and never moved (zero-computation experts, arXiv 2509.01322); it has no
  // part in means, centring and caps.
  std::vector<float> target;
  uint64_t min_tokens = 0;  // steps are added up until they hold this many tokens; 0 and 1: every step moves the bias
  bool frozen = false;      // counted, never moved
};

// The config of a preset: loss_free, deepseek_v3, megatron, torchtitan, axolotl_noaux_tc or evenkeel. Any
// other name is INVALID_ARGUMENT with the name and the list of those there are.
absl::StatusOr<BalanceConfig> FromPreset(absl::string_view name);

// The names FromPreset() knows. The span lives for ever.
absl::Span<const absl::string_view> PresetNames();

// OK if Update() may run with this config on a layer of `num_experts` experts; else INVALID_ARGUMENT naming
// the field and its value. NaN and infinity are refused in every field. Fields that the schedule's kind does
// not read are held to their range only. Beyond the ranges above:
//   num_experts  1 to kMaxExperts
//   rate         rate * ratio <= kMaxRate for every ratio of the schedule, so that a bias stays finite
//   momentum     still below 1 as float32
//   cap          at most the largest float32, and not so small that float32 makes it 0
//   schedule     kLinear and kCosine: begin < end; kSteps: at least one point; kToZero: begin >= 1
//   target       num_experts entries, each <= 1, at least one >= 0; those >= 0 add up to at most
//                1 + kTargetSumSlack and, under kProportional, which divides by them, are at least
//                kMinProportionalTarget
absl::Status Validate(const BalanceConfig& config, int num_experts);

inline constexpr double kMaxRate = 1e6;
inline constexpr double kTargetSumSlack = 1e-4;
inline constexpr float kMinProportionalTarget = 1e-9f;

}  // namespace evenkeel::balance
