#include "server/telemetry/metrics_routes.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/http/server.h"
#include "server/http/test_client.h"
#include "server/telemetry/parsed_page.h"

namespace evenkeel::telemetry {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class MetricsRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    Publish(7);
    absl::StatusOr<std::unique_ptr<http::Server>> server = http::Server::Start("127.0.0.1:0", MetricsRoutes(&metrics_));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  void Publish(uint64_t step) {
    auto view = std::make_shared<JobView>();
    view->job = "job";
    view->step = step;
    metrics_.Publish(view);
  }

  http::TestAnswer Scrape() { return http::Ask(server_->address(), "GET", "/metrics"); }

  Metrics metrics_;
  std::unique_ptr<http::Server> server_;
};

TEST_F(MetricsRoutesTest, ServesThePage) {
  const http::TestAnswer answer = Scrape();
  EXPECT_THAT(answer.head, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                 HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8"),
                                 HasSubstr(absl::StrCat("Content-Length: ", answer.body.size()))));
  const absl::StatusOr<ParsedPage> page = ParsePage(answer.body);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->Value("evenkeel_job_step", {{"job", "job"}}), 7);
}

TEST_F(MetricsRoutesTest, ServesThePageOfTheExpertsApart) {
  auto view = std::make_shared<ExpertView>();
  view->job = "job";
  view->layers.push_back({"layer", "", {1.5, 0.5}, {0, 0}, {3, 1}});
  metrics_.Publish(
      "job", [] { return std::make_shared<JobView>(); }, [view] { return view; });
  const http::TestAnswer answer = http::Ask(server_->address(), "GET", "/metrics/experts");
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
  const absl::StatusOr<ParsedPage> page = ParsePage(answer.body);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->Value("evenkeel_expert_load_ratio", {{"job", "job"}, {"layer", "layer"}, {"expert", "0"}}), 1.5);
  EXPECT_EQ(ParsePage(Scrape().body)->families.count("evenkeel_expert_load_ratio"), 0u);
}

TEST_F(MetricsRoutesTest, EveryScrapeIsOfNow) {
  Scrape();
  metrics_.Remove("job");
  const absl::StatusOr<ParsedPage> page = ParsePage(Scrape().body);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->CountWith("job", "job"), 0);
}

TEST_F(MetricsRoutesTest, ManyScrapeWhileTheJobMovesOn) {
  constexpr int kScrapers = 8;
  std::vector<std::thread> scrapers;
  for (int scraper = 0; scraper < kScrapers; ++scraper) {
    scrapers.emplace_back([this] {
      for (int scrape = 0; scrape < 10; ++scrape) EXPECT_TRUE(ParsePage(Scrape().body).ok());
    });
  }
  for (uint64_t step = 8; step < 200; ++step) {
    Publish(step);
    metrics_.CountPush("job", "accepted");
  }
  for (std::thread& scraper : scrapers) scraper.join();
}

}  // namespace
}  // namespace evenkeel::telemetry
