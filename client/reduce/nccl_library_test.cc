// Where libnccl is looked for, what is said where it is not, and that its facts are those of nccl.h.

#include "client/reduce/nccl_library.h"

#include <dlfcn.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/reduce/fake_nccl_path.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#if EVENKEEL_HAVE_NCCL
#include "nccl.h"
#endif

namespace evenkeel::client {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

// A variable of the environment, for a test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Variable() { unsetenv(name_); }

 private:
  const char* const name_;
};

// What OpenNccl finds, said by a process of its own: what is loaded stays.
[[noreturn]] void SayWhatIsFound() {
  const auto library = OpenNccl();
  std::fprintf(stderr, "found %s\n", library.ok() ? (*library)->path.c_str() : library.status().ToString().c_str());
  std::_Exit(0);
}

// These come first, before anything is loaded.

TEST(UnloadedNcclTest, TheOneThatIsLoadedComesFirst) {
  const Variable path("CUDA_PATH", "/cuda/path");
  EXPECT_EXIT(
      {
        dlopen(kFakeNcclPath, RTLD_NOW | RTLD_LOCAL);
        SayWhatIsFound();
      },
      testing::ExitedWithCode(0), std::string("found .*") + kFakeNcclPath);
}

TEST(UnloadedNcclTest, NamesEveryPlaceThatWasTried) {
  const Variable path("CUDA_PATH", "/cuda/path");
  const Variable home("CUDA_HOME", "/cuda/home");
  const auto library = OpenNccl();
  if (library.ok()) GTEST_SKIP() << "this machine has " << (*library)->path;
  EXPECT_EQ(library.status().code(), absl::StatusCode::kNotFound);
  const std::string message(library.status().message());
  for (const char* place :
       {"EVENKEEL_NCCL_LIBRARY", "; /cuda/path/lib64/libnccl.so.2: ", "; /cuda/home/lib64/libnccl.so.2: ",
        "; /usr/local/cuda/lib64/libnccl.so.2: ", "; /usr/lib/x86_64-linux-gnu/libnccl.so.2: ", "): libnccl.so.2: "}) {
    EXPECT_THAT(message, HasSubstr(place));
  }
}

TEST(UnloadedNcclTest, IsFoundInTheCudaInstallation) {
  if (OpenNccl().ok()) GTEST_SKIP() << "this machine has one";
  const std::string folder = absl::StrCat(std::getenv("TEST_TMPDIR"), "/cuda");
  ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((folder + "/lib64").c_str(), 0755), 0);
  char fake[PATH_MAX];
  ASSERT_NE(realpath(kFakeNcclPath, fake), nullptr);
  ASSERT_EQ(symlink(fake, (folder + "/lib64/libnccl.so.2").c_str()), 0);
  const Variable home("CUDA_HOME", folder);
  EXPECT_EXIT(SayWhatIsFound(), testing::ExitedWithCode(0), "found " + folder + "/lib64/libnccl.so.2");
}

TEST(NcclLibraryTest, OpensTheFileThatTheEnvironmentNames) {
  const Variable file("EVENKEEL_NCCL_LIBRARY", kFakeNcclPath);
  const auto library = OpenNccl();
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_EQ((*library)->version, 22809);
  EXPECT_THAT((*library)->path, EndsWith(kFakeNcclPath));
  NcclUniqueId id;
  EXPECT_EQ((*library)->GetUniqueId(&id), nccl::kSuccess);
}

TEST(NcclLibraryTest, AFileThatIsNamedIsTheOnlyPlace) {
  const Variable file("EVENKEEL_NCCL_LIBRARY", "/nowhere/libnccl.so.2");
  const absl::Status status = OpenNccl().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("/nowhere/libnccl.so.2: cannot open shared object file"));
  EXPECT_THAT(message, Not(HasSubstr("/usr")));
}

TEST(NcclLibraryTest, TooOldNamesWhatIsFoundAndWhatIsNeeded) {
  const Variable file("EVENKEEL_NCCL_LIBRARY", kFakeNcclPath);
  for (const auto& [version, name] : {std::pair<const char*, const char*>("21805", "2.18.5"), {"2804", "2.8.4"}}) {
    const Variable old("EVENKEEL_FAKE_NCCL_VERSION", version);
    const absl::Status status = OpenNccl().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(std::string("is NCCL ") + name), HasSubstr("2.19.1")));
  }
  const Variable enough("EVENKEEL_FAKE_NCCL_VERSION", "21901");
  EXPECT_TRUE(OpenNccl().ok());
}

TEST(NcclLibraryTest, ALibraryThatIsAnotherLacksAFunction) {
  const Variable file("EVENKEEL_NCCL_LIBRARY", "libm.so.6");
  const absl::Status status = OpenNccl().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("libm.so.6"), HasSubstr("ncclGetVersion")));
}

TEST(NcclLibraryTest, ErrorsSayWhatFailedAndHow) {
  const Variable file("EVENKEEL_NCCL_LIBRARY", kFakeNcclPath);
  const auto library = OpenNccl();
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_TRUE((*library)->Checked("call", nccl::kSuccess).ok());
  EXPECT_TRUE((*library)->Checked("call", nccl::kInProgress).ok());
  const absl::Status lost = (*library)->Checked("ncclAllReduce", nccl::kRemoteError);
  EXPECT_EQ(lost.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(lost.message(),
            "ncclAllReduce: remote process exited or there was a network error (the double has no more to say)");
  EXPECT_EQ((*library)->Checked("call", nccl::kSystemError).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ((*library)->Checked("call", nccl::kInvalidUsage).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*library)->Checked("call", nccl::kInvalidArgument).code(), absl::StatusCode::kInternal);
}

TEST(NcclLibraryTest, VersionsHaveNames) {
  EXPECT_EQ(NcclVersionName(22809), "2.28.9");
  EXPECT_EQ(NcclVersionName(21901), "2.19.1");
  EXPECT_EQ(NcclVersionName(2708), "2.7.8");
}

#if EVENKEEL_HAVE_NCCL
TEST(NcclAbiTest, IsThatOfTheHeader) {
  static_assert(sizeof(NcclUniqueId) == sizeof(ncclUniqueId));
  static_assert(offsetof(NcclConfig, magic) == offsetof(ncclConfig_t, magic));
  static_assert(offsetof(NcclConfig, version) == offsetof(ncclConfig_t, version));
  static_assert(offsetof(NcclConfig, blocking) == offsetof(ncclConfig_t, blocking));
  static_assert(sizeof(NcclConfig) <= sizeof(ncclConfig_t));
  static_assert(sizeof(ncclResult_t) == sizeof(int) && sizeof(ncclDataType_t) == sizeof(int));
  static_assert(nccl::kSuccess == ncclSuccess && nccl::kSystemError == ncclSystemError);
  static_assert(nccl::kInvalidArgument == ncclInvalidArgument && nccl::kInvalidUsage == ncclInvalidUsage);
  static_assert(nccl::kRemoteError == ncclRemoteError && nccl::kInProgress == ncclInProgress);
  static_assert(nccl::kUint8 == ncclUint8 && nccl::kUint64 == ncclUint64 && nccl::kSum == ncclSum);
  const ncclConfig_t theirs = NCCL_CONFIG_INITIALIZER;
  EXPECT_EQ(NcclConfig().magic, theirs.magic);
  EXPECT_LE(NcclConfig().version, theirs.version);
  EXPECT_EQ(NCCL_VERSION(2, 19, 1), kOldestNccl);
}
#endif

}  // namespace
}  // namespace evenkeel::client
