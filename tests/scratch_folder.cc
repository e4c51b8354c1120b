#include "tests/scratch_folder.h"

#include <stdlib.h>

#include <filesystem>

#include "base/check.h"

namespace evenkeel::tests {

ScratchFolder::ScratchFolder(const std::string& parent) {
  const std::filesystem::path folder =
      parent.empty() ? std::filesystem::temp_directory_path() : std::filesystem::absolute(parent);
  path_ = (folder / "evenkeel_XXXXXX").string();
  EVENKEEL_CHECK(mkdtemp(path_.data()) != nullptr);
  setenv("TEST_TMPDIR", path_.c_str(), /*replace=*/1);
  setenv("TEST_SRCDIR", "..", /*replace=*/0);
}

ScratchFolder::~ScratchFolder() { std::filesystem::remove_all(path_); }

}  // namespace evenkeel::tests
