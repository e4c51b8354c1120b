#include "server/store/test_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/check.h"
#include "gtest/gtest.h"

namespace evenkeel::store {

ScratchDirectory::ScratchDirectory() : path_(testing::TempDir() + "/store_XXXXXX") {
  EVENKEEL_CHECK(mkdtemp(path_.data()) != nullptr);
  path_ = std::filesystem::canonical(path_).string();  // as SQLite names it
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

int RunInChild(absl::FunctionRef<int()> body) {
  const pid_t child = fork();
  EVENKEEL_CHECK(child >= 0);
  if (child == 0) _exit(body());
  int status = 0;
  EVENKEEL_CHECK(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace evenkeel::store
