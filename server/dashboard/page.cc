#include "server/dashboard/page.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"

namespace evenkeel::dashboard {
namespace {

constexpr struct {
  absl::string_view name;
  absl::string_view contents;
} kAssets[] = {
#include "server/dashboard/assets.inc"
};

const char* TypeOf(absl::string_view name) {
  if (absl::EndsWith(name, ".html")) return "text/html; charset=utf-8";
  if (absl::EndsWith(name, ".css")) return "text/css; charset=utf-8";
  if (absl::EndsWith(name, ".js")) return "text/javascript; charset=utf-8";
  EVENKEEL_CHECK(absl::EndsWith(name, ".svg"));
  return "image/svg+xml";
}

}  // namespace

std::vector<http::Route> PageRoutes() {
  std::vector<http::Route> routes;
  for (const auto& asset : kAssets) {
    const http::Response response = {200, TypeOf(asset.name), std::string(asset.contents), {}};
    const std::string path = asset.name == "index.html" ? "/" : absl::StrCat("/assets/", asset.name);
    routes.push_back({path, [response](const http::Request&) { return response; }});
  }
  return routes;
}

}  // namespace evenkeel::dashboard
