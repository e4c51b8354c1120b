#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

// JSON, written. Values are JSON already.
namespace evenkeel::gpu_check {

// In quotes. What is no ASCII passes as it is; it should be UTF-8.
std::string JsonString(absl::string_view text);
std::string JsonObject(const std::vector<std::pair<std::string, std::string>>& fields);  // in one line

// One value a line.
std::string JsonArray(const std::vector<std::string>& values);

}  // namespace evenkeel::gpu_check
