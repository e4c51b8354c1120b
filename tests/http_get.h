#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace evenkeel::tests {

// The body of `path` at `address` (127.0.0.1:port). An answer other than 200 is an error that holds it.
absl::StatusOr<std::string> HttpGet(const std::string& address, const std::string& path);

}  // namespace evenkeel::tests
