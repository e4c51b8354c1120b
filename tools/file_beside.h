#pragma once

#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// New files beside those that they are to replace. Errors name `path`.
namespace evenkeel::tools {

// Whether there is a file to replace at `path`. FAILED_PRECONDITION for folders, devices, links and the like, which are
// never replaced.
absl::StatusOr<bool> IsThere(const std::string& path);

enum class Synced { kNo, kYes };

// Writes the pieces, one after another, to a new file beside `path`, on disk before it returns if `synced`. Its name,
// which ends in .tmp, goes to `name` once it exists, after an error too: the caller removes it.
absl::Status WriteBeside(const std::string& path, std::initializer_list<absl::string_view> pieces, Synced synced,
                         std::string* name);

}  // namespace evenkeel::tools
