#include "tests/push_metric.h"

#include <cmath>

#include "gtest/gtest.h"
#include "server/telemetry/parsed_page.h"
#include "tests/http_get.h"

namespace evenkeel::tests {

double PushesWith(const EvenkeeldProcess& coordinator, const std::string& job, const std::string& result) {
  const absl::StatusOr<std::string> text = HttpGet(coordinator.metrics_address(), "/metrics");
  EXPECT_TRUE(text.ok()) << text.status();
  const absl::StatusOr<telemetry::ParsedPage> page = telemetry::ParsePage(text.value_or(""));
  EXPECT_TRUE(page.ok()) << page.status();
  if (!page.ok()) return 0;
  const double pushes = page->Value("evenkeel_pushes_total", {{"job", job}, {"result", result}});
  return std::isnan(pushes) ? 0 : pushes;
}

}  // namespace evenkeel::tests
