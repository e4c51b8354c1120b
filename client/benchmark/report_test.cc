#include "client/benchmark/report.h"

#include "gtest/gtest.h"

namespace evenkeel::step_benchmark {
namespace {

TEST(ReportTest, QuantilesAreOfTheSortedSamples) {
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Quantile({5, 4, 3, 2, 1}, 0.99), 4);
  EXPECT_EQ(Quantile({7}, 0.99), 7);
}

TEST(ReportTest, SaysTheSameToPeopleAndToPrograms) {
  Report report("device", "one rank; microseconds");
  report.AddWords("why", "no \"libnccl\"\nat \\", "a line");
  report.AddSamples("commit", "Commit", {1, 2, 3});
  report.AddFigure("bar", 20);
  EXPECT_EQ(report.Json(),
            R"("device": {"why": "no \"libnccl\"\nat \\", "commit": {"p50": 2.000, "p99": 2.000}, "bar": 20})");
  EXPECT_EQ(report.Text(),
            "one rank; microseconds\n"
            "                                                         p50       p99\n"
            "Commit                                                   2.0       2.0\n"
            "a line\n");
}

TEST(ReportTest, WithoutSamplesThereIsNoTable) {
  Report report("device", "nothing");
  report.AddWords("skipped", "no GPU", "no GPU");
  EXPECT_EQ(report.Text(), "nothing\nno GPU\n");
}

}  // namespace
}  // namespace evenkeel::step_benchmark
