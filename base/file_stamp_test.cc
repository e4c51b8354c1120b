#include "base/file_stamp.h"

#include <cstdio>
#include <fstream>

#include "gtest/gtest.h"

namespace evenkeel {
namespace {

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(FileStampTest, ChangesWithTheFile) {
  const std::string path = testing::TempDir() + "/stamped";
  std::remove(path.c_str());
  EXPECT_EQ(StampOf(path), FileStamp());
  Write(path, "one");
  const FileStamp first = StampOf(path);
  EXPECT_NE(first, FileStamp());
  EXPECT_EQ(StampOf(path), first);
  Write(path, "three");
  EXPECT_NE(StampOf(path), first) << "written again";
  const FileStamp second = StampOf(path);
  Write(path + ".new", "seven");
  ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
  EXPECT_NE(StampOf(path), second) << "another file of the same size in its place";
}

}  // namespace
}  // namespace evenkeel
