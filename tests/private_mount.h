#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evenkeel::tests {

// A file system in memory, of a few bytes, that the calling thread and the processes which it starts see, and nobody
// else. Gone with its object. Thread-compatible.
class PrivateMount {
 public:
  // PERMISSION_DENIED where this machine does not let the test mount. The first call must come before there are other
  // threads.
  static absl::StatusOr<PrivateMount> Mount(size_t bytes);
  ~PrivateMount();
  PrivateMount(PrivateMount&& other) noexcept;
  PrivateMount& operator=(PrivateMount&&) = delete;

  const std::string& path() const { return path_; }
  absl::Status SetReadOnly();
  absl::Status Resize(size_t bytes);

 private:
  explicit PrivateMount(std::string path) : path_(std::move(path)) {}
  absl::Status Remount(unsigned long flags, const std::string& options);

  std::string path_;  // empty once moved from
};

}  // namespace evenkeel::tests
