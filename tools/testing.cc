#include "tools/testing.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace evenkeel::tools {
namespace {

std::string MakeFolder() {
  std::string path = absl::StrCat(testing::TempDir(), "/tools.XXXXXX");
  if (mkdtemp(path.data()) == nullptr) std::abort();
  return path;
}

}  // namespace

FolderTest::FolderTest() : folder_(MakeFolder()) {}

FolderTest::~FolderTest() { std::filesystem::remove_all(folder_); }

std::string FolderTest::Path(absl::string_view name) const { return absl::StrCat(folder_, "/", name); }

void FolderTest::WriteFile(absl::string_view name, absl::string_view bytes) const {
  std::ofstream file(Path(name), std::ios::binary | std::ios::trunc);
  file << bytes;
  ASSERT_TRUE(file.flush()) << Path(name);
}

std::string FolderTest::ReadFile(absl::string_view name) const {
  std::ifstream file(Path(name), std::ios::binary);
  EXPECT_TRUE(file) << Path(name);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<std::string> FolderTest::Names() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

Outcome RunCommand(const Command& command, const std::vector<std::string>& args) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = command.run(args, {out, err});
  return {code, out.str(), err.str()};
}

}  // namespace evenkeel::tools
