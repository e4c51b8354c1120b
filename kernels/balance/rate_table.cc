#include "kernels/balance/rate_table.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/balance/schedule.h"

namespace evenkeel::balance {
namespace {

struct Ending {
  uint64_t position;  // from here on the schedule is flat
  std::string field;  // that says so
};

Ending EndOf(const Schedule& schedule) {
  switch (schedule.kind) {
    case Schedule::Kind::kConstant:
      break;
    case Schedule::Kind::kLinear:
    case Schedule::Kind::kCosine:
      return {schedule.end, "schedule.end"};
    case Schedule::Kind::kSteps:
      return {schedule.points.back().from_position,
              absl::StrCat("schedule.points[", schedule.points.size() - 1, "].from_position")};
    case Schedule::Kind::kToZero:
      return {schedule.begin, "schedule.begin"};
  }
  return {1, "schedule.kind"};
}

}  // namespace

absl::StatusOr<std::vector<float>> RateTableOf(const BalanceConfig& config) {
  const Ending end = EndOf(config.schedule);
  if (end.position > kMaxRateTable) {
    return absl::InvalidArgumentError(absl::StrCat(end.field, ": must be at most ", kMaxRateTable,
                                                   " where the rates of all positions are tabulated, got ",
                                                   end.position));
  }
  std::vector<float> rates(std::max<uint64_t>(end.position, 1));
  for (size_t i = 0; i < rates.size(); ++i) rates[i] = static_cast<float>(RateAt(config, i + 1));
  return rates;
}

}  // namespace evenkeel::balance
