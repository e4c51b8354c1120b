#include "tests/gpu_check/benchmark/gpu_benchmark.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

// On the plain device, without the time for any case: what comes in which order. bench_test measures.
namespace evenkeel::benchmarks {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> Records(bool quick, const std::string& python) {
  GpuBenchmarkOptions options;
  options.quick = quick;
  options.python = python;
  options.limit = absl::ZeroDuration();
  std::vector<std::string> records;
  const absl::Status status = RunGpuBenchmark(options, &records);
  EXPECT_TRUE(status.ok()) << status;
  return records;
}

// The first record that has all of it, as an index.
int Find(const std::vector<std::string>& records, const std::string& what, const std::string& rest) {
  const auto found = std::find_if(records.begin(), records.end(), [&](const std::string& record) {
    return record.find("{\"what\": \"" + what + "\"") == 0 && record.find(rest) != std::string::npos;
  });
  EXPECT_NE(found, records.end()) << what << " " << rest;
  return static_cast<int>(found - records.begin());
}

TEST(GpuBenchmarkTest, TheBandwidthComesFirstAndTheBarsBeforeTheRest) {
  const std::vector<std::string> records = Records(/*quick=*/false, /*python=*/"");
  ASSERT_EQ(records.size(), 1 + 1 + 4 + 22 + 1 + 1 + 2);
  EXPECT_THAT(records[0], StartsWith(R"({"what": "copy", "bytes_per_second": )"));
  EXPECT_EQ(records[1], R"({"what": "eager", "skipped": "no Python was named"})");
  EXPECT_EQ(Find(records, "empty_kernel", "us"), 2);
  EXPECT_EQ(Find(records, "route", "\"router\": \"sigmoid\", \"experts\": 256"), 6);
  const int update = Find(records, "balance_update", "no time left");
  const int backward = Find(records, "route_backward", "no time left");
  EXPECT_LT(Find(records, "route", "softmax"), update);
  EXPECT_LT(update, backward);
  EXPECT_LT(backward, Find(records, "route", "\"experts\": 384"));
}

TEST(GpuBenchmarkTest, QuickGoesThroughAllParts) {
  const std::vector<std::string> records = Records(/*quick=*/true, /*python=*/"");
  for (const std::string what :
       {"copy", "eager", "empty_kernel", "route", "balance_update", "count_ids", "route_backward"}) {
    Find(records, what, "");
  }
}

TEST(GpuBenchmarkTest, APythonThatDoesNotStartIsSaid) {
  EXPECT_THAT(Records(/*quick=*/true, "/no/such/python")[1], HasSubstr("/no/such/python"));
}

}  // namespace
}  // namespace evenkeel::benchmarks
