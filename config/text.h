#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace evenkeel::config {

// Reads YAML or JSON (which is within it) into `message`, by the mapping of protobuf JSON: snake_case and
// lowerCamelCase names, enum values by name, numbers quoted or not, null for absent. What `message` held before is
// gone.
//
// Strict: INVALID_ARGUMENT "origin:line:column: field: "value" is ...", for text that is empty, truncated, malformed,
// not UTF-8, longer than 1 MiB or nested deeper than 32; for unknown and repeated keys, unknown enum values, values of
// the wrong type or out of range, NaN and infinity; for anchors, aliases, tags and more than one document. `message` is
// unchanged on error. `message` may have any fields but maps and bytes. Thread-safe.
absl::Status ParseText(absl::string_view text, absl::string_view origin, google::protobuf::Message* message);

// As above, from a file, whose path is the origin. NOT_FOUND when there is none; another error, naming path and cause,
// when it cannot be read.
absl::Status ParseFile(const std::string& path, google::protobuf::Message* message);

}  // namespace evenkeel::config
