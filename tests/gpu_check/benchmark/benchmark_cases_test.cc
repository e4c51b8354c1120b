#include "tests/gpu_check/benchmark/benchmark_cases.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "gtest/gtest.h"

namespace evenkeel::benchmarks {
namespace {

using routing::DType;

const RouteSeries& Find(const std::vector<RouteSeries>& all, const std::string& router, int experts, DType dtype) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const RouteSeries& series) {
    return series.router == router && series.spec.num_experts == experts && series.dtype == dtype;
  });
  EXPECT_NE(found, all.end()) << router << " " << experts;
  return *found;
}

TEST(BenchmarkCasesTest, ForwardsCoversTheShapesThatWereAskedFor) {
  const std::vector<RouteSeries> all = ForwardSeries(/*quick=*/false);
  std::set<std::tuple<std::string, int, DType>> distinct;
  for (const RouteSeries& series : all) {
    EXPECT_TRUE(routing::Validate(series.spec).ok()) << routing::Validate(series.spec);
    EXPECT_EQ(series.spec.top_k, 8);
    EXPECT_EQ(series.router == "sigmoid_groups", routing::GroupsActive(series.spec));
    EXPECT_EQ(std::set<int64_t>(series.rows.begin(), series.rows.end()),
              (std::set<int64_t>{1, 8, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072}));
    EXPECT_TRUE(distinct.emplace(series.router, series.spec.num_experts, series.dtype).second);
  }
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int experts : {64, 128, 256, 384, 512}) {
      Find(all, "sigmoid", experts, dtype);
      const RouteSeries& grouped = Find(all, "sigmoid_groups", experts, dtype);
      EXPECT_EQ(grouped.spec.num_groups, 8);
      EXPECT_EQ(grouped.spec.top_groups, 4);
    }
    Find(all, "softmax", 128, dtype);
  }
  EXPECT_EQ(all.size(), 22);
}

TEST(BenchmarkCasesTest, TheCasesOfTheBarsComeFirst) {
  for (const bool quick : {false, true}) {
    const RouteSeries first = ForwardSeries(quick).front();
    EXPECT_TRUE(BarMicroseconds(first, first.rows[0]).has_value());
    EXPECT_TRUE(BarMicroseconds(first, first.rows[1]).has_value());
    EXPECT_EQ(first.dtype, DType::kF32);
  }
}

TEST(BenchmarkCasesTest, QuickIsAHandful) {
  int cases = 0;
  for (const RouteSeries& series : ForwardSeries(/*quick=*/true)) cases += series.rows.size();
  for (const RouteSeries& series : BackwardSeries(/*quick=*/true)) cases += series.rows.size();
  EXPECT_LE(cases, 8);
}

TEST(BenchmarkCasesTest, BackwardsIsValid) {
  for (const RouteSeries& series : BackwardSeries(/*quick=*/false)) {
    EXPECT_TRUE(routing::Validate(series.spec).ok());
    EXPECT_EQ(series.rows, (std::vector<int64_t>{8192, 32768}));
  }
}

TEST(BenchmarkCasesTest, Bars) {
  const std::vector<RouteSeries> all = ForwardSeries(/*quick=*/false);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const RouteSeries& plain = Find(all, "sigmoid", 256, dtype);
    EXPECT_EQ(BarMicroseconds(plain, 1), 2.3);
    EXPECT_EQ(BarMicroseconds(plain, 256), 2.3);
    EXPECT_EQ(BarMicroseconds(plain, 1024), std::nullopt);
    EXPECT_EQ(BarMicroseconds(plain, 8192), 7);
    EXPECT_EQ(BarMicroseconds(plain, 32768), 20);
    const RouteSeries& grouped = Find(all, "sigmoid_groups", 256, dtype);
    EXPECT_EQ(BarMicroseconds(grouped, 32768), 28);
    EXPECT_EQ(BarMicroseconds(grouped, 8192), std::nullopt);
    EXPECT_EQ(BarMicroseconds(Find(all, "sigmoid", 384, dtype), 1), std::nullopt);
    EXPECT_EQ(BarMicroseconds(Find(all, "softmax", 128, dtype), 1), std::nullopt);
  }
}

TEST(BenchmarkCasesTest, Bytes) {
  const std::vector<RouteSeries> all = ForwardSeries(/*quick=*/false);
  EXPECT_EQ(ForwardBytes(Find(all, "sigmoid", 256, DType::kF32), 1), 1088);
  EXPECT_EQ(ForwardBytes(Find(all, "sigmoid", 384, DType::kBF16), 1), 832);
  EXPECT_EQ(ForwardBytes(Find(all, "sigmoid", 512, DType::kF32), 131072), int64_t{2112} * 131072);
  EXPECT_EQ(BackwardBytes(Find(all, "sigmoid", 256, DType::kF32), 10), 10 * (1024 + 64 + 32));
}

}  // namespace
}  // namespace evenkeel::benchmarks
