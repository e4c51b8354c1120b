#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The part of YAML that configuration is written in, as a plain tree. JSON is within it. What makes YAML grow or
// surprise is refused: anchors, aliases, tags, keys that are not plain words, and a second document.
namespace evenkeel::config {

// Bytes that a text may have, and how deep it may nest.
inline constexpr size_t kMaxTextBytes = size_t{1} << 20;
inline constexpr int kMaxTextDepth = 32;

// Where something begins in its text, both from 1.
struct Place {
  int line = 0;
  int column = 0;
};

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Place place;

  // kScalar: the text, unquoted and unescaped; UTF-8. `quoted` tells "8" from 8; block scalars count as quoted.
  std::string text;
  bool quoted = false;

  // kList: the elements. kMap: the values, each with its key; a repeated key comes twice.
  std::vector<YamlNode> children;
  std::string key;
  Place key_place;
};

// The one document of `text`. INVALID_ARGUMENT, naming `origin` and the place, for anything else. Pure, thread-safe;
// time and memory are linear in the text.
absl::StatusOr<YamlNode> ParseYaml(absl::string_view text, absl::string_view origin);

// INVALID_ARGUMENT "origin:line:column: message".
absl::Status ErrorAt(absl::string_view origin, Place place, absl::string_view message);

// `text` in double quotes for a message: escaped, and cut when it is long.
std::string Quoted(absl::string_view text);

}  // namespace evenkeel::config
