#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace evenkeel::store {

// A directory that one holder at a time may use, by flock(2) on the file "lock" in it. The kernel releases it when the
// object goes or the process ends, however it ends. Movable; thread-compatible.
class DirectoryLock {
 public:
  // Makes the directory (durably, with the parents that are missing) and locks it. Does not wait.
  //   FAILED_PRECONDITION  held by another process, which the message names, or by another lock of this one
  //   UNAVAILABLE          cannot be made or written; the message carries the cause
  static absl::StatusOr<DirectoryLock> Acquire(const std::string& directory);

  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;

 private:
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace evenkeel::store
