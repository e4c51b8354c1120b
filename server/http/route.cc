#include "server/http/route.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace evenkeel::http {
namespace {

// Of path and query together: the longest names of a job and a layer, all of it percent-encoded, are half of it.
constexpr size_t kLongestTarget = 4096;

Response Refusal(int status, absl::string_view sentence) {
  return {status, kPlainText, absl::StrCat(sentence, "\n"), {}};
}

// What the stars of `pattern` stand for; none where the path is not of it.
std::optional<std::vector<std::string>> Match(absl::string_view pattern, const std::vector<std::string>& segments) {
  const std::vector<absl::string_view> wanted = absl::StrSplit(pattern.substr(1), '/');
  if (wanted.size() != segments.size()) return std::nullopt;
  std::vector<std::string> wildcards;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "*" && !segments[i].empty()) {
      wildcards.push_back(segments[i]);
    } else if (wanted[i] != segments[i]) {
      return std::nullopt;
    }
  }
  return wildcards;
}

}  // namespace

Response Answer(const std::vector<Route>& routes, absl::string_view method, absl::string_view path,
                absl::string_view query, Request request) {
  if (method != "GET" && method != "HEAD") {
    Response refusal = Refusal(405, "Only GET and HEAD are answered here");
    refusal.fields.push_back({"Allow", "GET, HEAD"});
    return refusal;
  }
  if (path.size() + query.size() > kLongestTarget) return Refusal(414, "The path is too long");
  const absl::StatusOr<std::vector<std::string>> segments = SplitPath(path);
  if (!segments.ok()) return Refusal(400, segments.status().message());
  absl::StatusOr<Query> parameters = ParseQuery(query);
  if (!parameters.ok()) return Refusal(400, parameters.status().message());
  request.query = *std::move(parameters);
  for (const Route& route : routes) {
    std::optional<std::vector<std::string>> wildcards = Match(route.path, *segments);
    if (!wildcards.has_value()) continue;
    request.wildcards = *std::move(wildcards);
    return route.handler(request);
  }
  return Refusal(404, "There is nothing at this path");
}

}  // namespace evenkeel::http
