#include "server/recorder/folder.h"

#include <sys/stat.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::recorder {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string NewFolder(const std::string& name) {
  std::string folder = absl::StrCat(testing::TempDir(), "/", name, "XXXXXX");
  EXPECT_NE(mkdtemp(&folder[0]), nullptr);
  return folder;
}

TEST(FolderTest, NamesAreSafeAndDiffer) {
  EXPECT_EQ(FolderName("pretrain-7b_v1.2"), "pretrain-7b_v1.2");
  EXPECT_EQ(FolderName("team/run/1"), "team%2Frun%2F1");
  EXPECT_EQ(FolderName("."), "%2E");
  EXPECT_EQ(FolderName(".."), "%2E.");
  EXPECT_EQ(FolderName("../x"), "%2E.%2Fx");
}

TEST(FolderTest, FilesAscendByNumber) {
  const std::string folder = NewFolder("files");
  for (const uint64_t number : {2, 1000000, 999999}) std::ofstream(FilePath(folder, number)) << "12345";
  std::ofstream(folder + "/notes.txt") << "1";
  std::ofstream(folder + "/7.evkrec") << "1";
  std::ofstream(folder + "/000000.evkrec") << "1";
  const auto files = ListFiles(folder);
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 3u);
  EXPECT_EQ((*files)[0].path, folder + "/000002.evkrec");
  EXPECT_EQ((*files)[0].bytes, 5u);
  EXPECT_EQ((*files)[1].number, 999999u);
  EXPECT_EQ((*files)[2].number, 1000000u);
}

TEST(FolderTest, AFolderThatIsNotThereIsMade) {
  const std::string parent = NewFolder("parent");
  EXPECT_THAT(*ListFiles(parent + "/job"), IsEmpty());
  ASSERT_TRUE(MakeFolder(parent + "/job").ok());
  EXPECT_TRUE(MakeFolder(parent + "/job").ok()) << "it is there";
  struct stat status = {};
  ASSERT_EQ(stat((parent + "/job").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  EXPECT_THAT(*ListFolders(parent), ElementsAre(parent + "/job"));
  EXPECT_EQ(ListFolders(parent + "/no").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MakeFolder(parent + "/no/job").code(), absl::StatusCode::kUnavailable);
  std::ofstream(parent + "/file") << "1";
  EXPECT_EQ(MakeFolder(parent + "/file").code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace evenkeel::recorder
