#include "kernels/balance/rate_table.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/balance/schedule.h"

namespace evenkeel::balance {
namespace {

using Kind = Schedule::Kind;

constexpr uint64_t kForEver = std::numeric_limits<uint64_t>::max();

BalanceConfig Config(Schedule schedule) {
  BalanceConfig config;
  config.rate = 0.01;
  config.schedule = std::move(schedule);
  return config;
}

// Of `size` entries, and read as its contract has it, the rate at every position up to `size`, just after and far away.
void ExpectTable(const Schedule& schedule, uint64_t size) {
  SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(schedule.kind) << ", " << size << " entries");
  const BalanceConfig config = Config(schedule);
  ASSERT_TRUE(Validate(config, 4).ok()) << Validate(config, 4);
  const auto rates = RateTableOf(config);
  ASSERT_TRUE(rates.ok()) << rates.status();
  ASSERT_EQ(rates->size(), size);
  const auto expect_rate = [&](uint64_t position) {
    EXPECT_EQ((*rates)[std::min(position, size) - 1], static_cast<float>(RateAt(config, position))) << position;
  };
  for (uint64_t position = 1; position <= size + 2 && !testing::Test::HasFailure(); ++position) expect_rate(position);
  for (const uint64_t far : {2 * size, size + 1'000'000, kForEver - 1, kForEver}) expect_rate(far);
}

TEST(RateTableTest, ConstantIsOneRate) {
  // What the kind does not read makes no difference.
  ExpectTable({}, 1);
  ExpectTable({Kind::kConstant, 5, 10, 0.5, {{7, 0.5}}}, 1);
  ExpectTable({Kind::kConstant, kForEver, kForEver, 0.5, {{kForEver, 0.5}}}, 1);
}

TEST(RateTableTest, SlopesEndAtTheirEnd) {
  for (const Kind kind : {Kind::kLinear, Kind::kCosine}) {
    ExpectTable({kind, 0, 1, 0.5, {}}, 1);
    ExpectTable({kind, 0, 2, 0.5, {}}, 2);
    ExpectTable({kind, 1, 2, 0.5, {}}, 2);
    ExpectTable({kind, 100, 101, 0, {}}, 101);
    ExpectTable({kind, 100, 20'011, 0.1, {}}, 20'011);
    ExpectTable({kind, 0, 1000, 3, {}}, 1000);
  }
}

TEST(RateTableTest, StepsEndAtTheLastPoint) {
  ExpectTable({Kind::kSteps, 0, 0, 0, {{0, 0.5}}}, 1);
  ExpectTable({Kind::kSteps, 0, 0, 0, {{1, 0.5}}}, 1);
  ExpectTable({Kind::kSteps, 0, 0, 0, {{2, 0.5}}}, 2);
  ExpectTable({Kind::kSteps, 0, 0, 0, {{0, 2}, {1, 3}, {30, 0.25}, {31, 0}}}, 31);
}

TEST(RateTableTest, ToZeroEndsWhereItBegins) {
  ExpectTable({Kind::kToZero, 1, 0, 0, {}}, 1);
  ExpectTable({Kind::kToZero, 2, 0, 0, {}}, 2);
  ExpectTable({Kind::kToZero, 1000, 0, 0, {}}, 1000);
}

// One position before the end the rate is another: no entry is to spare.
TEST(RateTableTest, IsNoLongerThanItMustBe) {
  for (const Schedule& schedule : {Schedule{Kind::kLinear, 3, 9, 0.5, {}}, Schedule{Kind::kCosine, 3, 9, 0.5, {}},
                                   Schedule{Kind::kSteps, 0, 0, 0, {{9, 0.5}}}, Schedule{Kind::kToZero, 9, 0, 0, {}}}) {
    const std::vector<float> rates = RateTableOf(Config(schedule)).value();
    ASSERT_EQ(rates.size(), 9);
    EXPECT_NE(rates[7], rates[8]) << static_cast<int>(schedule.kind);
  }
}

// `at` makes a schedule that is flat from a position on.
template <typename At>
void ExpectLimit(const std::string& field, At at) {
  SCOPED_TRACE(field);
  const auto longest = RateTableOf(Config(at(kMaxRateTable)));
  ASSERT_TRUE(longest.ok()) << longest.status();
  EXPECT_EQ(longest->size(), kMaxRateTable);
  for (const uint64_t position : {kMaxRateTable + 1, kForEver}) {
    const absl::Status status = RateTableOf(Config(at(position))).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(),
              absl::StrCat(field, ": must be at most 16777216 where the rates of all positions are tabulated, got ",
                           position));
  }
}

TEST(RateTableTest, NamesWhatMakesItTooLong) {
  ExpectLimit("schedule.end", [](uint64_t end) { return Schedule{Kind::kLinear, 5, end, 0, {}}; });
  ExpectLimit("schedule.end", [](uint64_t end) { return Schedule{Kind::kCosine, 5, end, 0, {}}; });
  ExpectLimit("schedule.points[1].from_position", [](uint64_t from) {
    return Schedule{Kind::kSteps, 0, 0, 0, {{3, 0.5}, {from, 0}}};
  });
  ExpectLimit("schedule.begin", [](uint64_t begin) { return Schedule{Kind::kToZero, begin, 0, 0, {}}; });
}

}  // namespace
}  // namespace evenkeel::balance
