#include "tools/durable_file.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DurableFileTest : public FolderTest {};

TEST_F(DurableFileTest, ReplacesAFileAndLeavesNothingElse) {
  ASSERT_TRUE(WriteDurably(Path("x"), {"one ", "file"}).ok());
  EXPECT_EQ(ReadFile("x"), "one file");
  ASSERT_TRUE(WriteDurably(Path("x"), {"another"}).ok());
  EXPECT_EQ(ReadFile("x"), "another");
  EXPECT_THAT(Names(), ElementsAre("x"));
}

TEST_F(DurableFileTest, LeavesWhatIsNoFileAlone) {
  std::filesystem::create_directory(Path("folder"));
  std::filesystem::create_symlink(Path("elsewhere"), Path("link"));
  for (const std::string name : {"folder", "link"}) {
    const absl::Status status = WriteDurably(Path(name), {"x"});
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr(Path(name)));
  }
  EXPECT_THAT(Names(), ElementsAre("folder", "link"));
}

TEST_F(DurableFileTest, ADiskThatIsFullLeavesTheOldFile) {
  ASSERT_TRUE(WriteDurably(Path("x"), {"old"}).ok());
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight = {4, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const absl::Status status = WriteDurably(Path("x"), {"new", " and long"});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(status.message(), HasSubstr(Path("x")));
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(ReadFile("x"), "old");
  EXPECT_THAT(Names(), ElementsAre("x"));
}

TEST_F(DurableFileTest, AFolderThatIsNotThereIsAnError) {
  const absl::Status status = WriteDurably(Path("none/x"), {"x"});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(Path("none/x")));
}

}  // namespace
}  // namespace evenkeel::tools
