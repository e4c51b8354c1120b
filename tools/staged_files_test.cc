#include "tools/staged_files.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StagedFilesTest : public FolderTest {};

TEST_F(StagedFilesTest, AppearTogetherAndReplaceWhatWasThere) {
  WriteFile("b", "old b");
  {
    StagedFiles files;
    ASSERT_TRUE(files.Add(Path("a"), {"new ", "", "a"}).ok());
    ASSERT_TRUE(files.Add(Path("b"), {"new b"}).ok());
    EXPECT_EQ(ReadFile("b"), "old b");
    EXPECT_FALSE(std::filesystem::exists(Path("a")));
    ASSERT_TRUE(files.Commit().ok());
  }
  EXPECT_EQ(ReadFile("a"), "new a");
  EXPECT_EQ(ReadFile("b"), "new b");
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(StagedFilesTest, WithoutCommitThereIsNoTrace) {
  WriteFile("b", "old b");
  {
    StagedFiles files;
    ASSERT_TRUE(files.Add(Path("a"), {"new a"}).ok());
    ASSERT_TRUE(files.Add(Path("b"), {"new b"}).ok());
  }
  EXPECT_THAT(Names(), ElementsAre("b"));
  EXPECT_EQ(ReadFile("b"), "old b");
}

TEST_F(StagedFilesTest, AFolderInAPlaceIsRefusedAndLeftAlone) {
  std::filesystem::create_directory(Path("folder"));
  StagedFiles files;
  const absl::Status status = files.Add(Path("folder"), {"new"});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Path("folder")));
  EXPECT_THAT(Names(), ElementsAre("folder"));
}

TEST_F(StagedFilesTest, ADeviceIsNeverReplaced) {
  StagedFiles files;
  EXPECT_EQ(files.Add("/dev/null", {"new"}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StagedFilesTest, AMissingFolderIsNamed) {
  StagedFiles files;
  const absl::Status status = files.Add(Path("missing/a"), {"new"});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Path("missing/a")));
}

TEST_F(StagedFilesTest, WhenTheLastCannotMoveTheFirstAreAsTheyWere) {
  WriteFile("a", "old a");
  {
    StagedFiles files;
    ASSERT_TRUE(files.Add(Path("a"), {"new a"}).ok());
    ASSERT_TRUE(files.Add(Path("b"), {"new b"}).ok());
    ASSERT_TRUE(files.Add(Path("c"), {"new c"}).ok());
    std::filesystem::create_directory(Path("c"));
    const absl::Status status = files.Commit();
    EXPECT_THAT(std::string(status.message()), HasSubstr(Path("c")));
  }
  EXPECT_THAT(Names(), ElementsAre("a", "c"));
  EXPECT_EQ(ReadFile("a"), "old a");
}

TEST_F(StagedFilesTest, WhenAStagedFileIsGoneTheOldOneComesBack) {
  WriteFile("a", "old a");
  {
    StagedFiles files;
    ASSERT_TRUE(files.Add(Path("a"), {"new a"}).ok());
    for (const std::string& name : Names()) {
      if (name != "a") std::filesystem::remove(Path(name));
    }
    EXPECT_FALSE(files.Commit().ok());
  }
  EXPECT_THAT(Names(), ElementsAre("a"));
  EXPECT_EQ(ReadFile("a"), "old a");
}

TEST_F(StagedFilesTest, NothingStagedIsNothingDone) {
  StagedFiles files;
  EXPECT_TRUE(files.Commit().ok());
  EXPECT_THAT(Names(), IsEmpty());
}

}  // namespace
}  // namespace evenkeel::tools
