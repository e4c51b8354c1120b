#include "kernels/balance/schedule.h"

namespace evenkeel::balance {
namespace {

// sin(pi/2 * t) for 0 <= t <= 1/2: the Taylor series to the 17th power, in nested form; what it leaves out is
// below 1e-19. Own, because libm differs between hosts.
double SineOfQuarterTurns(double t) {
  constexpr double kHalfPi = 1.5707963267948966;
  const double x = kHalfPi * t;
  const double square = x * x;
  double series = 1;
  for (int k = 8; k >= 1; --k) series = 1 - square / (2 * k * (2 * k + 1)) * series;
  return x * series;
}

// (1 + cos(pi * t)) / 2 for 0 <= t <= 1, as cos^2(pi/2 * t).
double HalfCosine(double t) {
  const double sine = SineOfQuarterTurns(t <= 0.5 ? t : 1 - t);
  return t <= 0.5 ? 1 - sine * sine : sine * sine;
}

// How far `position` is on the way from begin to end; strictly between them.
double Progress(const Schedule& schedule, uint64_t position) {
  return static_cast<double>(position - schedule.begin) / static_cast<double>(schedule.end - schedule.begin);
}

double SlopeRatio(const Schedule& schedule, uint64_t position) {
  if (position <= schedule.begin) return 1;
  if (position >= schedule.end) return schedule.final_ratio;
  const double t = Progress(schedule, position);
  const double weight = schedule.kind == Schedule::Kind::kCosine ? HalfCosine(t) : 1 - t;
  return schedule.final_ratio + (1 - schedule.final_ratio) * weight;
}

double StepsRatio(const Schedule& schedule, uint64_t position) {
  double ratio = 1;
  for (const SchedulePoint& point : schedule.points) {
    if (point.from_position > position) break;
    ratio = point.ratio;
  }
  return ratio;
}

double Ratio(const Schedule& schedule, uint64_t position) {
  switch (schedule.kind) {
    case Schedule::Kind::kConstant:
      break;
    case Schedule::Kind::kLinear:
    case Schedule::Kind::kCosine:
      return SlopeRatio(schedule, position);
    case Schedule::Kind::kSteps:
      return StepsRatio(schedule, position);
    case Schedule::Kind::kToZero:
      return position < schedule.begin ? 1 : 0;
  }
  return 1;
}

}  // namespace

double RateAt(const BalanceConfig& config, uint64_t position) { return config.rate * Ratio(config.schedule, position); }

}  // namespace evenkeel::balance
