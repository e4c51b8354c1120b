#include "server/http/url.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace evenkeel::http {
namespace {

absl::Status Invalid(absl::string_view what, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": \"", absl::CHexEscape(text), "\""));
}

}  // namespace

absl::StatusOr<std::string> DecodePercent(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const absl::string_view digits = text.substr(i + 1, 2);
    if (digits.size() < 2 || !absl::ascii_isxdigit(digits[0]) || !absl::ascii_isxdigit(digits[1]) || digits == "00") {
      return Invalid("a percent sign must be followed by two hexadecimal digits other than 00", text);
    }
    decoded += absl::HexStringToBytes(digits);
    i += 2;
  }
  return decoded;
}

absl::StatusOr<std::vector<std::string>> SplitPath(absl::string_view path) {
  if (path.empty() || path[0] != '/') return Invalid("a path must begin with a slash", path);
  std::vector<std::string> segments;
  for (const absl::string_view segment : absl::StrSplit(path.substr(1), '/')) {
    EVENKEEL_ASSIGN_OR_RETURN(std::string decoded, DecodePercent(segment));
    segments.push_back(std::move(decoded));
  }
  return segments;
}

absl::StatusOr<Query> ParseQuery(absl::string_view query) {
  Query parameters;
  for (const absl::string_view parameter : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(parameter, absl::MaxSplits('=', 1));
    EVENKEEL_ASSIGN_OR_RETURN(std::string name, DecodePercent(parts.first));
    EVENKEEL_ASSIGN_OR_RETURN(std::string value, DecodePercent(parts.second));
    if (!parameters.emplace(name, std::move(value)).second) return Invalid("a parameter may come but once", name);
  }
  return parameters;
}

}  // namespace evenkeel::http
