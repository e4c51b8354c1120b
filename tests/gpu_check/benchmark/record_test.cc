#include "tests/gpu_check/benchmark/record.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::benchmarks {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(RecordTest, JsonKeepsOrderAndTypes) {
  Record record("route");
  record.AddText("dtype", "bf16").AddCount("rows", 131072).AddNumber("us", 2.25).AddCount("bytes", int64_t{1} << 40);
  EXPECT_EQ(record.Json(), R"({"what": "route", "dtype": "bf16", "rows": 131072, "us": 2.25, "bytes": 1099511627776})");
}

TEST(RecordTest, JsonIsJsonWhateverTheText) {
  EXPECT_EQ(Record("x").AddText("skipped", "say \"no\" \\ twice\n").Json(),
            R"({"what": "x", "skipped": "say \"no\" \\ twice\u000a"})");
  EXPECT_EQ(Record("x").AddNumber("us", std::nan("")).AddNumber("bar", INFINITY).Json(),
            R"({"what": "x", "us": null, "bar": null})");
  EXPECT_EQ(Record("x").AddNumber("speed", 4.3e12).Json(), R"({"what": "x", "speed": 4.3e+12})");
}

TEST(RecordTest, TheTablesRowsStandUnderItsTitles) {
  const std::string header = TableHeader();
  const std::string row = Record("route").AddNumber("us", 12.5).AddCount("samples", 41).TableRow();
  EXPECT_EQ(row.size(), header.size());
  EXPECT_THAT(row, StartsWith("route "));
  EXPECT_EQ(row.find("12.5") + 4, header.find(" us ") + 3);
  EXPECT_THAT(row, HasSubstr(" - "));
  EXPECT_EQ(row.find("41"), std::string::npos) << "the table has no column for it";
}

TEST(RecordTest, TheRowSaysWhyItIsEmpty) {
  EXPECT_THAT(Record("route").AddText("skipped", "no memory").TableRow(), EndsWith("no memory"));
}

TEST(ReportTest, KeepsTheJsonOfAllAndHeadsTheTableOnce) {
  std::vector<std::string> json = {"earlier"};
  ::testing::internal::CaptureStderr();
  Report report(&json);
  report.Add(Record("first"));
  report.Add(Record("second"));
  const std::string table = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(json, ::testing::ElementsAre("earlier", R"({"what": "first"})", R"({"what": "second"})"));
  EXPECT_EQ(table, TableHeader() + "\n" + Record("first").TableRow() + "\n" + Record("second").TableRow() + "\n");
}

}  // namespace
}  // namespace evenkeel::benchmarks
