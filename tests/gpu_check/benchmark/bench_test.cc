#include "tests/gpu_check/benchmark/bench.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/gpu_check/benchmark/plain_benchmark_device.h"

// On plain_benchmark_device and plain_device, with emulated lanes: what is measured and said, not how fast it is.
namespace evenkeel::benchmarks {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr double kCopyBytesPerSecond = 4e12;

// A peer whose every call takes a thousandth of a second, and one in a graph half of it.
constexpr char kEager[] = R"(
import json, sys
answers = {"hello": {"torch": "0", "device": "x"}, "prepare": {}, "graph": {"seconds": 5e-4},
           "turn": {"route_seconds": 7.5e-4, "count_seconds": 2.5e-4}}
for line in sys.stdin:
    print(json.dumps(answers[json.loads(line)["op"]]), flush=True)
)";

class BenchTest : public testing::Test {
 protected:
  BenchTest() : timer_(*GpuTimer::Create(/*samples=*/3, /*l2_bytes=*/1 << 10)), report_(&json_) {
    bench_.timer = &timer_;
    bench_.copy_bytes_per_second = kCopyBytesPerSecond;
    bench_.report = &report_;
  }

  // The first series of a router, with other numbers of rows.
  static RouteSeries Series(const std::string& router, std::vector<int64_t> rows) {
    for (RouteSeries series : ForwardSeries(/*quick=*/false)) {
      if (series.router != router) continue;
      series.rows = std::move(rows);
      return series;
    }
    ADD_FAILURE() << router;
    return {};
  }

  // The number that the record has by that name.
  static double Number(const std::string& record, const std::string& name) {
    const size_t at = record.find(absl::StrCat("\"", name, "\": "));
    EXPECT_NE(at, std::string::npos) << name << " in " << record;
    return at == std::string::npos ? 0 : std::stod(record.substr(at + name.size() + 4));
  }

  std::vector<std::string> json_;
  const GpuTimer timer_;
  Report report_;
  Bench bench_;
};

TEST_F(BenchTest, ForwardMeasuresEachSizeInEachMode) {
  for (const std::string router : {"sigmoid", "sigmoid_groups", "softmax"}) {
    json_.clear();
    ASSERT_TRUE(MeasureForward(bench_, Series(router, {3, 1})).ok());
    ASSERT_THAT(json_, SizeIs(8));
    const char* const modes[] = {R"("l2": "warm", "launch": "graph")", R"("l2": "cold", "launch": "graph")",
                                 R"("l2": "warm", "launch": "stream")", R"("l2": "cold", "launch": "stream")"};
    for (int i = 0; i < 8; ++i) {
      EXPECT_THAT(json_[i], HasSubstr(absl::StrCat(R"({"what": "route", "router": ")", router, "\"")));
      EXPECT_THAT(json_[i], HasSubstr(modes[i % 4]));
      EXPECT_EQ(Number(json_[i], "rows"), i < 4 ? 3 : 1);
      EXPECT_EQ(Number(json_[i], "rows_differing"), 1) << "the plain two-kernel router sees to that";
      const double microseconds = Number(json_[i], "us");
      const double bytes = (i < 4 ? 3 : 1) * (router == "softmax" ? 128 * 4 + 64 : 256 * 4 + 64);
      EXPECT_EQ(Number(json_[i], "bytes"), bytes);
      EXPECT_NEAR(Number(json_[i], "copy_fraction") * microseconds * 1e-6 * kCopyBytesPerSecond, bytes, bytes * 1e-4);
      EXPECT_NEAR(Number(json_[i], "times_two_kernel") * microseconds, Number(json_[i], "two_kernel_us"), 1e-4);
      // So few rows of 256 experts have a bar, in one mode.
      EXPECT_EQ(json_[i].find("bar_us") != std::string::npos, router == "sigmoid" && i % 4 == 0) << json_[i];
    }
    EXPECT_THAT(json_, Each(Not(HasSubstr("eager"))));
  }
}

TEST_F(BenchTest, EagerStandsBesideWarmCalls) {
  const auto eager = EagerGpuPeer::Start("/usr/bin/python3", kEager);
  ASSERT_TRUE(eager.ok()) << eager.status();
  bench_.eager = eager->get();
  bench_.quick = true;
  ASSERT_TRUE(MeasureForward(bench_, Series("softmax", {2})).ok());
  ASSERT_THAT(json_, SizeIs(2));  // in a graph only
  const double microseconds = Number(json_[0], "us");
  EXPECT_EQ(Number(json_[0], "eager_us"), 1000);
  EXPECT_EQ(Number(json_[0], "eager_count_us"), 250);
  EXPECT_EQ(Number(json_[0], "eager_graph_us"), 500);
  EXPECT_NEAR(Number(json_[0], "times_eager") * microseconds, 1000, 0.1);
  EXPECT_NEAR(Number(json_[0], "times_eager_graph") * microseconds, 500, 0.1);
  EXPECT_THAT(json_[1], AllOf(HasSubstr("cold"), Not(HasSubstr("eager"))));
}

TEST_F(BenchTest, GoesOnWhenEagerIsGone) {
  const auto eager = EagerGpuPeer::Start("/usr/bin/python3", "input(); print('{\"torch\": \"0\"}')");
  ASSERT_TRUE(eager.ok()) << eager.status();
  bench_.eager = eager->get();
  bench_.quick = true;
  ASSERT_TRUE(MeasureForward(bench_, Series("softmax", {2, 1})).ok());
  ASSERT_THAT(json_, SizeIs(4));
  EXPECT_THAT(json_[0], HasSubstr("has ended"));
  EXPECT_THAT(json_[2], HasSubstr("has ended"));
}

TEST_F(BenchTest, WhatDoesNotFitIsSaidAndTheRestMeasured) {
  ASSERT_TRUE(MeasureForward(bench_, Series("sigmoid", {int64_t{1} << 30, 1})).ok());
  ASSERT_THAT(json_, SizeIs(5));
  EXPECT_THAT(json_[0], AllOf(HasSubstr(R"("rows": 1073741824)"), HasSubstr("\"skipped\": \"needs")));
  json_.clear();
  ASSERT_TRUE(MeasureBackward(bench_, Series("sigmoid", {int64_t{1} << 30})).ok());
  EXPECT_THAT(json_, ElementsAre(HasSubstr("\"skipped\": \"needs")));
}

TEST_F(BenchTest, WhatComesTooLateIsSaid) {
  bench_.deadline = absl::Now();
  ASSERT_TRUE(MeasureForward(bench_, Series("sigmoid", {1, 2})).ok());
  ASSERT_TRUE(MeasureBackward(bench_, Series("softmax", {1})).ok());
  ASSERT_TRUE(MeasureUpdate(bench_).ok());
  ASSERT_TRUE(MeasureCountIds(bench_, 1).ok());
  EXPECT_THAT(json_, SizeIs(4));
  EXPECT_THAT(json_, Each(HasSubstr("\"skipped\": \"no time left\"")));
}

TEST_F(BenchTest, BackwardMeasuresEachSizeInEachMode) {
  for (const std::string router : {"sigmoid", "softmax"}) {
    json_.clear();
    ASSERT_TRUE(MeasureBackward(bench_, Series(router, {2, 3})).ok());
    ASSERT_THAT(json_, SizeIs(8));
    EXPECT_THAT(json_, Each(HasSubstr(absl::StrCat(R"("what": "route_backward", "router": ")", router))));
    EXPECT_EQ(Number(json_[7], "bytes"), 3 * ((router == "softmax" ? 128 : 256) * 4 + 8 * 12));
  }
}

TEST_F(BenchTest, TheUpdateAndTheEmptyKernelAreMeasuredInEachMode) {
  ASSERT_TRUE(MeasureUpdate(bench_).ok());
  ASSERT_THAT(json_, SizeIs(4));
  EXPECT_THAT(json_, Each(HasSubstr(R"({"what": "balance_update", "layers": 61, "experts": 256, )")));
  json_.clear();
  ASSERT_TRUE(MeasureEmptyKernel(bench_).ok());
  ASSERT_THAT(json_, SizeIs(4));
  EXPECT_NEAR(Number(json_[0], "us"), kPlainNothingMicroseconds, 0.01);
  EXPECT_NEAR(Number(json_[1], "us"), kPlainNothingMicroseconds + kPlainEventMicroseconds, 1e-6);
}

TEST_F(BenchTest, CountingIsMeasuredInEachMode) {
  ASSERT_TRUE(MeasureCountIds(bench_, 3).ok());
  ASSERT_THAT(json_, SizeIs(4));
  EXPECT_THAT(json_, Each(HasSubstr(R"({"what": "count_ids", "experts": 256, "top_k": 8, "rows": 3, )")));
  EXPECT_EQ(Number(json_[0], "bytes"), 3 * 8 * 4);
}

TEST_F(BenchTest, ACopyReadsAndWrites) {
  const absl::StatusOr<double> bandwidth = MeasureCopyBandwidth(timer_);
  ASSERT_TRUE(bandwidth.ok()) << bandwidth.status();
  // An eighth of the plain device's gibibyte.
  const double microseconds = kPlainCopyMicroseconds + kPlainEventMicroseconds;
  EXPECT_NEAR(*bandwidth, 2.0 * (1 << 27) / (microseconds * 1e-6), 1);
}

}  // namespace
}  // namespace evenkeel::benchmarks
