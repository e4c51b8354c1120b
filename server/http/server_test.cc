#include "server/http/server.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/http/gzip.h"
#include "server/http/health.h"
#include "server/http/test_client.h"

namespace evenkeel::http {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<Route> routes = HealthRoutes([this] { return is_ready_; });
    routes.push_back({"/page", [](const Request&) {
                        return Response{418, "text/x-page", "a page", {{"X-Also", "this"}}};
                      }});
    routes.push_back({"/told/*", [this](const Request& request) {
                        request_ = request;
                        return Response();
                      }});
    routes.push_back({"/large", [](const Request&) { return Response{200, kPlainText, Large(), {}}; }});
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start("127.0.0.1:0", std::move(routes));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  static std::string Large() { return std::string(10 << 20, 'x'); }

  TestAnswer Get(const std::string& path, const std::string& fields = "") {
    return Ask(server_->address(), "GET", path, fields);
  }

  bool is_ready_ = true;
  Request request_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, SaysWhichPortItTook) {
  EXPECT_THAT(server_->address(), StartsWith("127.0.0.1:"));
  EXPECT_THAT(server_->address(), Not(EndsWith(":0")));
}

TEST_F(ServerTest, AnswersAsTheRouteSays) {
  const TestAnswer answer = Get("/page");
  EXPECT_EQ(answer.status, 418);
  EXPECT_THAT(answer.head, AllOf(StartsWith("HTTP/1.1 418 "), HasSubstr("\r\nContent-Type: text/x-page\r\n"),
                                 HasSubstr("\r\nX-Also: this\r\n"), HasSubstr("\r\nContent-Length: 6")));
  EXPECT_EQ(answer.body, "a page");
}

TEST_F(ServerTest, HeadGivesTheHeadAlone) {
  const TestAnswer answer = Ask(server_->address(), "HEAD", "/page");
  EXPECT_EQ(answer.status, 418);
  EXPECT_THAT(answer.head, HasSubstr("\r\nContent-Length: 6"));
  EXPECT_EQ(answer.body, "");
}

TEST_F(ServerTest, TellsTheHandlerWhatWasAsked) {
  EXPECT_EQ(Get("/told/a%2F..%2Fb%25?layer=x%3Dy&z", "Authorization: Bearer abc\r\n").status, 200);
  EXPECT_THAT(request_.wildcards, ElementsAre("a/../b%"));
  EXPECT_THAT(request_.query, ElementsAre(testing::Pair("layer", "x=y"), testing::Pair("z", "")));
  EXPECT_EQ(request_.authorization, "Bearer abc");
  EXPECT_TRUE(request_.is_local);

  EXPECT_EQ(Get("/told/x").status, 200);
  EXPECT_EQ(request_.authorization, "");
  EXPECT_TRUE(request_.query.empty());
}

TEST_F(ServerTest, EveryAnswerIsKeptFromCachesAndFrames) {
  for (const char* path : {"/page", "/healthz", "/nothing", "/told/%zz"}) {
    EXPECT_THAT(
        Get(path).head,
        AllOf(HasSubstr("\r\nCache-Control: no-store\r\n"), HasSubstr("\r\nX-Content-Type-Options: nosniff\r\n"),
              HasSubstr("\r\nReferrer-Policy: no-referrer\r\n"),
              HasSubstr("\r\nContent-Security-Policy: default-src 'none'; "), HasSubstr("script-src 'self';"),
              HasSubstr("frame-ancestors 'none'"), Not(HasSubstr("unsafe")), Not(HasSubstr("Access-Control-Allow"))))
        << path;
  }
}

TEST_F(ServerTest, SaysWhetherItLivesAndIsReady) {
  EXPECT_EQ(Get("/healthz").body, "ok");
  EXPECT_EQ(Get("/readyz").status, 200);
  EXPECT_EQ(Get("/readyz").body, "ready");
  is_ready_ = false;
  EXPECT_EQ(Get("/healthz").status, 200);
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(Get("/readyz").body, "not ready");
}

TEST_F(ServerTest, NothingElseIsServed) {
  for (const char* path : {"/", "/page/", "/pagex", "/etc/passwd", "/../../etc/passwd", "/healthz/x", "//page"}) {
    EXPECT_EQ(Get(path).status, 404) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    const TestAnswer answer = Ask(server_->address(), method, "/page", "Content-Length: 0\r\n");
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_THAT(answer.head, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  }
}

TEST_F(ServerTest, OutlivesWhatIsNoHttp) {
  Exchange(server_->address(), "not http at all\r\n\r\n");
  Exchange(server_->address(), std::string("\0\xff\x16\x03\r\n\r\n", 8));
  Exchange(server_->address(), absl::StrCat("GET /", std::string(100000, 'x'), " HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(Get("/healthz").body, "ok");
}

TEST_F(ServerTest, ALargeAnswerArrivesWhole) { EXPECT_EQ(Get("/large").body, Large()); }

TEST_F(ServerTest, ALongAnswerIsPackedForWhoTakesItSo) {
  const TestAnswer packed = Ask(server_->address(), "GET", "/large", "Accept-Encoding: gzip\r\n");
  EXPECT_THAT(packed.head, HasSubstr("Content-Encoding: gzip\r\n"));
  EXPECT_EQ(packed.body, Gzip(Large()));
  EXPECT_THAT(packed.head, HasSubstr(absl::StrCat("Content-Length: ", packed.body.size(), "\r\n")));
  EXPECT_THAT(Get("/large").head, Not(HasSubstr("Content-Encoding")));
}

TEST_F(ServerTest, MoreClientsThanThreadsAreAllAnswered) {
  std::vector<std::thread> clients;
  for (int client = 0; client < 3 * kNumThreads; ++client) {
    clients.emplace_back([this] {
      for (int request = 0; request < 10; ++request) EXPECT_EQ(Get("/page").body, "a page");
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(ServerTest, AProbeIsAnsweredWhileOthersSayNothing) {
  std::vector<std::unique_ptr<OpenConnection>> idle;
  for (int i = 0; i < kNumThreads / 2; ++i) {
    idle.push_back(std::make_unique<OpenConnection>(server_->address(), "GET /page HT"));
  }
  EXPECT_EQ(Get("/healthz").status, 200);
  for (const auto& connection : idle) EXPECT_TRUE(connection->IsOpen()) << "the probe has waited until it was let go";
}

TEST_F(ServerTest, AnAddressInUseIsUnavailable) {
  const absl::Status status = Server::Start(server_->address(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(server_->address()), HasSubstr("Address already in use")));
}

TEST_F(ServerTest, AnAddressOfAnotherMachineIsUnavailable) {
  const absl::Status status = Server::Start("192.0.2.1:0", {}).status();  // RFC 5737: nobody's
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("192.0.2.1:0"));
}

TEST_F(ServerTest, WhatIsNoAddressIsInvalid) {
  for (const std::string address : {"", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:65536", "127.0.0.1:-1",
                                    "127.0.0.1:80s", "127.0.0.1: 80", "127.0.0.1:0,127.0.0.1:0", "a b:80", "[::1]:0"}) {
    const absl::Status status = Server::Start(address, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("\"", address, "\"")));
  }
}

TEST_F(ServerTest, ThePortIsFreeAfterwards) {
  const std::string address = server_->address();
  server_.reset();
  EXPECT_TRUE(Server::Start(address, {}).ok());
}

}  // namespace
}  // namespace evenkeel::http
