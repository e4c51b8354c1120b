#include "config/balance_config.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "config/enum_pairs.h"

namespace evenkeel::config {
namespace {

using Message = v1::BalanceConfig;
using balance::BalanceConfig;
using balance::CapMode;
using balance::Center;
using balance::Rule;
using balance::Schedule;

constexpr EnumPair<Message::Rule, Rule> kRules[] = {
    {Message::SIGN, Rule::kSign},
    {Message::FREQUENCY, Rule::kFrequency},
    {Message::PROPORTIONAL, Rule::kProportional},
};
constexpr EnumPair<Message::Center, Center> kCenters[] = {
    {Message::NONE, Center::kNone},
    {Message::DELTA, Center::kDelta},
    {Message::STATE, Center::kState},
};
constexpr EnumPair<Message::CapMode, CapMode> kCapModes[] = {
    {Message::ABSOLUTE, CapMode::kAbsolute},
    {Message::DEVIATION, CapMode::kDeviation},
};
constexpr EnumPair<v1::Schedule::Kind, Schedule::Kind> kKinds[] = {
    {v1::Schedule::CONSTANT, Schedule::Kind::kConstant}, {v1::Schedule::LINEAR, Schedule::Kind::kLinear},
    {v1::Schedule::COSINE, Schedule::Kind::kCosine},     {v1::Schedule::STEPS, Schedule::Kind::kSteps},
    {v1::Schedule::TO_ZERO, Schedule::Kind::kToZero},
};

absl::Status Missing(absl::string_view field) { return absl::InvalidArgumentError(absl::StrCat(field, ": missing")); }

absl::StatusOr<Schedule> ScheduleFromProto(const v1::Schedule& message) {
  Schedule schedule;
  if (!message.has_kind()) return Missing("schedule.kind");
  EVENKEEL_RETURN_IF_ERROR(FromWire(kKinds, "schedule.kind", message.kind(), &schedule.kind));
  if (message.has_begin()) schedule.begin = message.begin();
  if (message.has_end()) schedule.end = message.end();
  if (message.has_final_ratio()) schedule.final_ratio = message.final_ratio();
  for (const v1::Schedule::Point& point : message.points()) {
    const std::string field = absl::StrCat("schedule.points[", schedule.points.size(), "]");
    if (!point.has_from_position()) return Missing(field + ".from_position");
    if (!point.has_ratio()) return Missing(field + ".ratio");
    schedule.points.push_back({point.from_position(), point.ratio()});
  }
  return schedule;
}

v1::Schedule ScheduleToProto(const Schedule& schedule) {
  v1::Schedule message;
  message.set_kind(ToWire(kKinds, schedule.kind));
  message.set_begin(schedule.begin);
  message.set_end(schedule.end);
  message.set_final_ratio(schedule.final_ratio);
  for (const balance::SchedulePoint& point : schedule.points) {
    v1::Schedule::Point* added = message.add_points();
    added->set_from_position(point.from_position);
    added->set_ratio(point.ratio);
  }
  return message;
}

}  // namespace

absl::StatusOr<BalanceConfig> BalanceConfigFromProto(const Message& message) {
  EVENKEEL_ASSIGN_OR_RETURN(BalanceConfig config,
                            balance::FromPreset(message.has_preset() ? message.preset() : "evenkeel"));
  if (message.has_rule()) EVENKEEL_RETURN_IF_ERROR(FromWire(kRules, "rule", message.rule(), &config.rule));
  if (message.has_rate()) config.rate = message.rate();
  if (message.has_schedule()) {
    EVENKEEL_ASSIGN_OR_RETURN(config.schedule, ScheduleFromProto(message.schedule()));
  }
  if (message.has_momentum()) config.momentum = message.momentum();
  if (message.has_ema_correction()) config.ema_correction = message.ema_correction();
  if (message.has_center()) EVENKEEL_RETURN_IF_ERROR(FromWire(kCenters, "center", message.center(), &config.center));
  if (message.has_cap()) config.cap = message.cap();
  if (message.has_cap_mode()) {
    EVENKEEL_RETURN_IF_ERROR(FromWire(kCapModes, "cap_mode", message.cap_mode(), &config.cap_mode));
  }
  if (message.has_warmup_steps()) config.warmup_steps = message.warmup_steps();
  config.target.assign(message.target().begin(), message.target().end());
  if (message.has_min_tokens()) config.min_tokens = message.min_tokens();
  if (message.has_frozen()) config.frozen = message.frozen();
  return config;
}

Message BalanceConfigToProto(const BalanceConfig& config) {
  Message message;
  message.set_rule(ToWire(kRules, config.rule));
  message.set_rate(config.rate);
  *message.mutable_schedule() = ScheduleToProto(config.schedule);
  message.set_momentum(config.momentum);
  message.set_ema_correction(config.ema_correction);
  message.set_center(ToWire(kCenters, config.center));
  message.set_cap(config.cap);
  message.set_cap_mode(ToWire(kCapModes, config.cap_mode));
  message.set_warmup_steps(config.warmup_steps);
  message.mutable_target()->Add(config.target.begin(), config.target.end());
  message.set_min_tokens(config.min_tokens);
  message.set_frozen(config.frozen);
  return message;
}

Message Overridden(const Message& base, const Message& override_fields) {
  if (override_fields.has_preset()) return override_fields;
  Message message = base;
  // MergeFrom would merge the schedules field by field and put one target behind the other.
  if (override_fields.has_schedule()) message.clear_schedule();
  if (override_fields.target_size() > 0) message.clear_target();
  message.MergeFrom(override_fields);
  return message;
}

}  // namespace evenkeel::config
