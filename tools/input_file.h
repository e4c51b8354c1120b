#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evenkeel::tools {

// A regular file, open for reading. Movable; reading is thread-safe. Errors do not name the path: the caller does.
class InputFile {
 public:
  // NOT_FOUND when there is none, INVALID_ARGUMENT for what is no regular file, else what the system says. Never waits
  // for the writer of a pipe.
  static absl::StatusOr<InputFile> Open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  // Bytes, when it was opened.
  uint64_t size() const { return size_; }

  // Fills `out` with the bytes from `offset` on. DATA_LOSS when there are fewer.
  absl::Status ReadAt(uint64_t offset, uint64_t bytes, char* out) const;

 private:
  InputFile(int file, uint64_t size) : file_(file), size_(size) {}

  int file_;
  uint64_t size_;
};

}  // namespace evenkeel::tools
