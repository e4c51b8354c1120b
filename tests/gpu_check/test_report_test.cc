#include "tests/gpu_check/test_report.h"

#include <cstdio>
#include <string>

#include "gtest/gtest.h"

// A report of tests of which one fails on purpose: a main of its own looks at it.
namespace evenkeel::gpu_check {
namespace {

TEST(ReportedTest, Passes) {}
TEST(ReportedTest, PassesToo) {}
TEST(ReportedTest, Fails) {
  ADD_FAILURE() << "a \"quoted\"\nreason";
  ADD_FAILURE() << "another";
}
TEST(ReportedTest, IsSkipped) { GTEST_SKIP() << "no room"; }

bool Is(bool condition, const char* what) {
  if (!condition) std::printf("not so: %s\n", what);
  return condition;
}

bool Check(const TestReport& report) {
  const std::string json = report.ToJson();
  bool right = Is(report.passed() == 2, "two passed");
  right &= Is(report.failed().size() == 1 && report.failed()[0].name == "ReportedTest.Fails", "one failed");
  right &= Is(report.skipped().size() == 1 && report.skipped()[0].text.find("no room") == 0, "one was skipped");
  right &= Is(json.find("{\"passed\": 2, \"failed\": [\n  {\"name\": \"ReportedTest.Fails\"") == 0, "JSON begins");
  right &= Is(json.find("a \\\"quoted\\\"\\u000areason") != std::string::npos, "JSON has the first reason");
  right &= Is(json.find("another") == std::string::npos, "and no other");
  if (!right) std::printf("%s\n", json.c_str());
  return right;
}

}  // namespace
}  // namespace evenkeel::gpu_check

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  // What fails here is no failure of this test's, for others to count.
  delete listeners.Release(listeners.default_xml_generator());
  auto* report = new evenkeel::gpu_check::TestReport;  // the listeners own it
  listeners.Append(report);
  const bool failed = RUN_ALL_TESTS() != 0;
  return evenkeel::gpu_check::Is(failed, "a test has failed") && evenkeel::gpu_check::Check(*report) ? 0 : 1;
}
