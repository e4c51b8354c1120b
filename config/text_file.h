#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace evenkeel::config {

// The bytes of a file that ParseYaml is to read: no more than one byte over what it takes, so that it sees when there
// are too many. NOT_FOUND when there is no such file; another error, naming path and cause, when it cannot be read.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

}  // namespace evenkeel::config
