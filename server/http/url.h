#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The target of an HTTP request, taken apart. Pure, thread-safe.
namespace evenkeel::http {

// Decoded parameters of a query, by name.
using Query = std::map<std::string, std::string>;

// "%2F" and its like as the bytes that they stand for. INVALID_ARGUMENT where a percent sign is not followed by two
// hexadecimal digits, or stands for a zero byte.
absl::StatusOr<std::string> DecodePercent(absl::string_view text);

// The segments of an absolute path, decoded one by one, so that a segment may hold a slash: "/a/b%2Fc" is "a", "b/c".
// Nothing is resolved: ".." is a segment as any other. INVALID_ARGUMENT where the path does not begin with a slash, or
// cannot be decoded.
absl::StatusOr<std::vector<std::string>> SplitPath(absl::string_view path);

// Of "a=1&b=x%20y"; a parameter without a value has an empty one, and "+" is a plus. INVALID_ARGUMENT where a name
// comes twice, or something cannot be decoded.
absl::StatusOr<Query> ParseQuery(absl::string_view query);

}  // namespace evenkeel::http
