#pragma once

#include "absl/strings/string_view.h"

namespace evenkeel::config {

// Whether `text` is UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. Protobuf strings must
// be.
bool IsUtf8(absl::string_view text);

}  // namespace evenkeel::config
