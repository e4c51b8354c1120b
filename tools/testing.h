#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tools/command.h"

namespace evenkeel::tools {

// A folder of its own for each test, gone with it.
class FolderTest : public testing::Test {
 protected:
  FolderTest();
  ~FolderTest() override;

  // The path of `name` in the folder.
  std::string Path(absl::string_view name) const;

  void WriteFile(absl::string_view name, absl::string_view bytes) const;
  std::string ReadFile(absl::string_view name) const;

  // Names in the folder, ascending.
  std::vector<std::string> Names() const;

 private:
  const std::string folder_;
};

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome RunCommand(const Command& command, const std::vector<std::string>& args);

}  // namespace evenkeel::tools
