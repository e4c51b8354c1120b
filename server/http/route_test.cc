#include "server/http/route.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::http {
namespace {

using ::testing::HasSubstr;

// A route that says its path and what it was asked.
Route Telling(const std::string& path) {
  return {path, [path](const Request& request) {
            std::string query;
            for (const auto& [name, value] : request.query) absl::StrAppend(&query, " ", name, "=", value);
            return Response{200,
                            kPlainText,
                            absl::StrCat(path, " [", absl::StrJoin(request.wildcards, ","), "]", query, " ",
                                         request.authorization, request.is_local ? " local" : ""),
                            {}};
          }};
}

const std::vector<Route>& Routes() {
  static const auto* const routes = new std::vector<Route>{Telling("/"), Telling("/jobs"), Telling("/jobs/*"),
                                                           Telling("/jobs/*/load"), Telling("/*/*/*")};
  return *routes;
}

Response Get(const std::string& path, const std::string& query = "") {
  return Answer(Routes(), "GET", path, query, Request());
}

TEST(AnswerTest, TheFirstRouteThatFitsAnswers) {
  EXPECT_EQ(Get("/").body, "/ [] ");
  EXPECT_EQ(Get("/jobs").body, "/jobs [] ");
  EXPECT_EQ(Get("/jobs/x").body, "/jobs/* [x] ");
  EXPECT_EQ(Get("/jobs/x/load").body, "/jobs/*/load [x] ");
  EXPECT_EQ(Get("/jobs/x/y").body, "/*/*/* [jobs,x,y] ");
}

TEST(AnswerTest, AStarStandsForOneSegmentWhichMayHoldASlash) {
  EXPECT_EQ(Get("/jobs/team%2Frun").body, "/jobs/* [team/run] ");
  EXPECT_EQ(Get("/jobs/%2e%2e").body, "/jobs/* [..] ");
  EXPECT_EQ(Get("/jobs/load%2Fload/load").body, "/jobs/*/load [load/load] ");
  EXPECT_EQ(Get("/jobs/").status, 404);
  EXPECT_EQ(Get("/jobs//load").status, 404);
}

TEST(AnswerTest, AStarOfAPathIsNoPattern) { EXPECT_EQ(Get("/jobs/*").body, "/jobs/* [*] "); }

TEST(AnswerTest, TheQueryAndTheRestReachTheHandler) {
  Request request;
  request.authorization = "Bearer abc";
  request.is_local = true;
  EXPECT_EQ(Answer(Routes(), "HEAD", "/jobs/x/load", "layer=a%20b&stream=1", request).body,
            "/jobs/*/load [x] layer=a b stream=1 Bearer abc local");
}

TEST(AnswerTest, WhatIsNotThereIsNotFound) {
  for (const char* path : {"/x", "/jobsx", "/jobs/x/load/y", "/JOBS", "//", "/./jobs"}) {
    EXPECT_EQ(Get(path).status, 404) << path;
  }
}

TEST(AnswerTest, OtherMethodsAreToldWhichThereAre) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", ""}) {
    const Response response = Answer(Routes(), method, "/", "", Request());
    EXPECT_EQ(response.status, 405) << method;
    ASSERT_EQ(response.fields.size(), 1);
    EXPECT_EQ(response.fields[0].name, "Allow");
    EXPECT_EQ(response.fields[0].value, "GET, HEAD");
  }
}

TEST(AnswerTest, WhatCannotBeDecodedIsRefusedWithTheReason) {
  EXPECT_EQ(Get("/jobs/%zz").status, 400);
  EXPECT_THAT(Get("/jobs/%zz").body, HasSubstr("hexadecimal"));
  EXPECT_EQ(Get("/jobs", "a=1&a=2").status, 400);
  EXPECT_EQ(Get("jobs").status, 400);
}

TEST(AnswerTest, LongTargetsAreRefused) {
  EXPECT_EQ(Get(absl::StrCat("/jobs/", std::string(4090, 'x'))).status, 200);
  EXPECT_EQ(Get(absl::StrCat("/jobs/", std::string(4091, 'x'))).status, 414);
  EXPECT_EQ(Get("/jobs", std::string(4092, 'x')).status, 414);
}

}  // namespace
}  // namespace evenkeel::http
