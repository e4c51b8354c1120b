// The soak in short: the long form is `bazel run //tests/soak`.

#include "tests/soak/soak.h"

#include <iostream>

#include "gtest/gtest.h"

namespace evenkeel::soak {
namespace {

// A sanitizer keeps what is freed, and books of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsOurs = false;
#else
constexpr bool kMemoryIsOurs = true;
#endif

SoakOptions Short() {
  SoakOptions options;
  options.steps = 2000;
  options.seed = 1;
  options.progress = [](const std::string& line) { std::cout << line << "\n"; };
  return options;
}

void Expect(const SoakOptions& options) {
  const absl::StatusOr<SoakReport> report = RunSoak(options);
  ASSERT_TRUE(report.ok()) << report.status();
  std::cout << report->figures.Text();
  for (const auto& [name, times] : report->faults) EXPECT_GT(times, 0) << name;
  if (!kMemoryIsOurs) return;
  for (const std::string& growth : report->growth) ADD_FAILURE() << growth;
}

TEST(SoakTest, NoStepIsLostAndNothingGrows) { Expect(Short()); }

TEST(SoakTest, WithARecord) {
  SoakOptions options = Short();
  options.steps = 600;
  options.workers = 12;
  options.seed = 2;
  options.record = true;
  Expect(options);
}

}  // namespace
}  // namespace evenkeel::soak
