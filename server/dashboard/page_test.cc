#include "server/dashboard/page.h"

#include <fstream>
#include <iterator>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::dashboard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

http::Response Get(const std::string& path) { return http::Answer(PageRoutes(), "GET", path, "", http::Request()); }

std::string FileOf(const std::string& name) {
  std::ifstream file(absl::StrCat("server/dashboard/assets/", name));
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PageTest, ServesTheFilesAsTheyAre) {
  for (const auto& [path, name, type] : {std::tuple("/", "index.html", "text/html; charset=utf-8"),
                                         std::tuple("/assets/page.css", "page.css", "text/css; charset=utf-8"),
                                         std::tuple("/assets/page.js", "page.js", "text/javascript; charset=utf-8"),
                                         std::tuple("/assets/icon.svg", "icon.svg", "image/svg+xml")}) {
    const http::Response response = Get(path);
    EXPECT_EQ(response.status, 200) << path;
    EXPECT_EQ(response.type, type);
    EXPECT_EQ(response.body, FileOf(name));
  }
  EXPECT_EQ(Get("/assets/nothing.js").status, 404);
  EXPECT_EQ(Get("/index.html").status, 404);
}

TEST(PageTest, NeedsNothingThatTheContentSecurityPolicyForbids) {
  for (const http::Route& route : PageRoutes()) {
    const std::string text = Get(route.path).body;
    for (const char* forbidden : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                                  "new Function", " style=\"", " onclick=\"", "<style", "javascript:", "https://"}) {
      EXPECT_THAT(text, Not(HasSubstr(forbidden))) << route.path;
    }
  }
}

}  // namespace
}  // namespace evenkeel::dashboard
