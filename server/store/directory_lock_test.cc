#include "server/store/directory_lock.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/test_process.h"

namespace evenkeel::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Permissions do not bind root, unless it gives up its capabilities.
void DropCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) != 0) _exit(2);
}

TEST(DirectoryLockTest, MakesTheDirectoryAndItsParents) {
  const ScratchDirectory scratch;
  for (const char* path : {"/a/b/c", "/d/", "/a/./e"}) {
    EXPECT_TRUE(DirectoryLock::Acquire(scratch.path() + path).ok()) << path;
    EXPECT_TRUE(std::filesystem::is_directory(scratch.path() + path)) << path;
  }
}

TEST(DirectoryLockTest, ExcludesASecondHolderUntilItGoes) {
  const ScratchDirectory scratch;
  {
    const absl::StatusOr<DirectoryLock> first = DirectoryLock::Acquire(scratch.path());
    ASSERT_TRUE(first.ok()) << first.status();
    const absl::Status second = DirectoryLock::Acquire(scratch.path()).status();
    EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE(DirectoryLock::Acquire(scratch.path()).ok());
}

TEST(DirectoryLockTest, TellsAnotherProcessWhoHoldsIt) {
  const ScratchDirectory scratch;
  const absl::StatusOr<DirectoryLock> lock = DirectoryLock::Acquire(scratch.path());
  ASSERT_TRUE(lock.ok()) << lock.status();
  const std::string expected = absl::StrCat("state directory \"", scratch.path(), "\" is held by process ", getpid());
  EXPECT_EQ(RunInChild([&] {
              const absl::Status status = DirectoryLock::Acquire(scratch.path()).status();
              return status == absl::FailedPreconditionError(expected) ? 0 : 1;
            }),
            0);
}

TEST(DirectoryLockTest, GoesWithTheProcessThatHeldIt) {
  const ScratchDirectory scratch;
  ASSERT_EQ(RunInChild([&] {
              const absl::StatusOr<DirectoryLock> lock = DirectoryLock::Acquire(scratch.path());
              if (lock.ok()) _exit(7);  // while it is held
              return 1;
            }),
            7);
  EXPECT_TRUE(DirectoryLock::Acquire(scratch.path()).ok());
}

TEST(DirectoryLockTest, AFileInPlaceOfTheDirectoryIsUnavailable) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path() + "/file";
  std::ofstream(path) << "not a directory";
  for (const std::string& directory : {path, path + "/below"}) {
    const absl::Status status = DirectoryLock::Acquire(directory).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path), HasSubstr("File exists")));
  }
}

TEST(DirectoryLockTest, ADirectoryThatCannotBeMadeIsUnavailable) {
  for (const char* path : {"/proc/evenkeel/state", ""}) {
    const absl::Status status = DirectoryLock::Acquire(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("cannot make"));
  }
}

TEST(DirectoryLockTest, AReadOnlyDirectoryIsUnavailable) {
  const ScratchDirectory scratch;
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0555));
  EXPECT_EQ(RunInChild([&] {
              DropCapabilities();
              const absl::Status status = DirectoryLock::Acquire(scratch.path()).status();
              return absl::IsUnavailable(status) && absl::StrContains(status.message(), "Permission denied") ? 0 : 1;
            }),
            0);
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0755));
}

}  // namespace
}  // namespace evenkeel::store
