#pragma once

#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace evenkeel::tools {

// Makes the pieces, one after another, the file at `path`: at any moment, and after a crash at any moment, the file is
// the old one or the new one, whole; on return it is the new one, on disk. After an error the old one is there. (A
// process that is killed on the way can leave a file that ends in .tmp.) Errors name `path`: FAILED_PRECONDITION when
// something other than a regular file is there, else what the system says.
absl::Status WriteDurably(const std::string& path, std::initializer_list<absl::string_view> pieces);

}  // namespace evenkeel::tools
