#pragma once

#include <string>

#include "absl/functional/function_ref.h"

// For tests that need a directory of their own, or a process that may die.
namespace evenkeel::store {

// A new empty directory under the test's own temporary one, removed with everything in it.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs `body` in a child process, which ends with the value of `body` as its exit status and without running a
// destructor or closing a file. Waits for it, and returns the status, or minus the signal that ended it.
int RunInChild(absl::FunctionRef<int()> body);

}  // namespace evenkeel::store
