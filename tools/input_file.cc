#include "tools/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace evenkeel::tools {
namespace {

absl::Status Failed() {
  const int error = errno;
  return absl::Status(absl::ErrnoToStatusCode(error), std::generic_category().message(error));
}

}  // namespace

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return Failed();
  InputFile file(descriptor, 0);
  struct stat info;
  if (fstat(descriptor, &info) != 0) return Failed();
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError("not a regular file");
  file.size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept : file_(std::exchange(other.file_, -1)), size_(other.size_) {}

InputFile::~InputFile() {
  if (file_ >= 0) close(file_);
}

absl::Status InputFile::ReadAt(uint64_t offset, uint64_t bytes, char* out) const {
  while (bytes > 0) {
    const ssize_t got = pread(file_, out, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed();
    if (got == 0) return absl::DataLossError("the file became shorter while it was read");
    out += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::tools
