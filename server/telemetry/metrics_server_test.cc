#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/parsed_page.h"

namespace evenkeel::telemetry {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

uint16_t PortOf(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  return static_cast<uint16_t>(port);
}

struct Response {
  std::string head;  // status line and header fields
  std::string body;
};

// Sends `request` to a server of this machine, as it is, and reads until the server closes the connection.
Response Exchange(const std::string& address, const std::string& request) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(PortOf(address));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  EXPECT_EQ(send(connection, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string reply;
  char buffer[4096];
  for (ssize_t size; (size = recv(connection, buffer, sizeof(buffer), 0)) > 0;) reply.append(buffer, size);
  close(connection);
  const size_t end = std::min(reply.find("\r\n\r\n"), reply.size());
  return {reply.substr(0, end), reply.substr(std::min(end + 4, reply.size()))};
}

Response Request(const std::string& address, const std::string& method, const std::string& path) {
  return Exchange(address,
                  absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", address, "\r\nConnection: close\r\n\r\n"));
}

class MetricsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto view = std::make_shared<JobView>();
    view->job = "job";
    view->step = 7;
    metrics_.Publish(view);
    absl::StatusOr<std::unique_ptr<MetricsServer>> server = MetricsServer::Start("127.0.0.1:0", &metrics_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  Response Get(const std::string& path) { return Request(server_->address(), "GET", path); }

  Metrics metrics_;
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, SaysWhichPortItTook) {
  EXPECT_THAT(server_->address(), StartsWith("127.0.0.1:"));
  EXPECT_NE(PortOf(server_->address()), 0);
}

TEST_F(MetricsServerTest, ServesThePage) {
  const Response response = Get("/metrics");
  EXPECT_THAT(response.head, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                   HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8"),
                                   HasSubstr(absl::StrCat("Content-Length: ", response.body.size()))));
  EXPECT_EQ(response.body, metrics_.Text());
  const absl::StatusOr<ParsedPage> page = ParsePage(response.body);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->Value("evenkeel_job_step", {{"job", "job"}}), 7);
}

TEST_F(MetricsServerTest, EveryScrapeIsOfNow) {
  Get("/metrics");
  metrics_.Remove("job");
  EXPECT_EQ(Get("/metrics").body, Metrics().Text());
}

TEST_F(MetricsServerTest, IsHealthy) {
  const Response response = Get("/healthz");
  EXPECT_THAT(response.head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(response.body, "ok");
}

TEST_F(MetricsServerTest, HeadGivesTheHeadAlone) {
  const Response response = Request(server_->address(), "HEAD", "/healthz");
  EXPECT_THAT(response.head, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Length: 2")));
  EXPECT_EQ(response.body, "");
}

TEST_F(MetricsServerTest, NothingElseIsServed) {
  for (const char* path : {"/", "/metrics/", "/metricsx", "/etc/passwd", "/../../etc/passwd", "/healthz/x"}) {
    EXPECT_THAT(Get(path).head, StartsWith("HTTP/1.1 404 ")) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    EXPECT_THAT(Request(server_->address(), method, "/metrics").head, StartsWith("HTTP/1.1 405 ")) << method;
  }
}

TEST_F(MetricsServerTest, OutlivesWhatIsNoHttp) {
  Exchange(server_->address(), "not http at all\r\n\r\n");
  Exchange(server_->address(), std::string("\0\xff\x16\x03\r\n\r\n", 8));
  Exchange(server_->address(), absl::StrCat("GET /", std::string(100000, 'x'), " HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(Get("/healthz").body, "ok");
}

TEST_F(MetricsServerTest, ManyScrapeWhileTheJobMovesOn) {
  constexpr int kScrapers = 8;
  std::vector<std::thread> scrapers;
  for (int scraper = 0; scraper < kScrapers; ++scraper) {
    scrapers.emplace_back([this] {
      for (int scrape = 0; scrape < 10; ++scrape) EXPECT_TRUE(ParsePage(Get("/metrics").body).ok());
    });
  }
  for (int step = 8; step < 200; ++step) {
    auto view = std::make_shared<JobView>();
    view->job = "job";
    view->step = step;
    metrics_.Publish(view);
    metrics_.CountPush("job", "accepted");
  }
  for (std::thread& scraper : scrapers) scraper.join();
}

TEST_F(MetricsServerTest, AnAddressInUseIsUnavailable) {
  const absl::Status status = MetricsServer::Start(server_->address(), &metrics_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(server_->address()), HasSubstr("Address already in use")));
}

TEST_F(MetricsServerTest, AnAddressOfAnotherMachineIsUnavailable) {
  const absl::Status status = MetricsServer::Start("192.0.2.1:0", &metrics_).status();  // RFC 5737: nobody's
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("192.0.2.1:0"));
}

TEST_F(MetricsServerTest, WhatIsNoAddressIsInvalid) {
  for (const std::string address : {"", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:65536", "127.0.0.1:-1",
                                    "127.0.0.1:80s", "127.0.0.1: 80", "127.0.0.1:0,127.0.0.1:0", "a b:80", "[::1]:0"}) {
    const absl::Status status = MetricsServer::Start(address, &metrics_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("\"", address, "\"")));
  }
}

TEST_F(MetricsServerTest, ThePortIsFreeAfterwards) {
  const std::string address = server_->address();
  server_.reset();
  EXPECT_TRUE(MetricsServer::Start(address, &metrics_).ok());
}

}  // namespace
}  // namespace evenkeel::telemetry
