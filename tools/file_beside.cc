#include "tools/file_beside.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace evenkeel::tools {
namespace {

absl::Status Failed(const std::string& path) { return absl::ErrnoToStatus(errno, path); }

absl::Status WriteAll(int file, absl::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed(path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// A new file beside `path`, open for writing, whose name goes to `name`.
absl::StatusOr<int> CreateBeside(const std::string& path, std::string* name) {
  for (int attempt = 0;; ++attempt) {
    const std::string candidate = absl::StrCat(path, ".", getpid(), ".", attempt, ".tmp");
    const int file = open(candidate.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) {
      *name = candidate;
      return file;
    }
    if (errno != EEXIST) return Failed(path);
  }
}

}  // namespace

absl::StatusOr<bool> IsThere(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) {
    if (S_ISREG(info.st_mode)) return true;
    return absl::FailedPreconditionError(absl::StrCat(path, ": not a regular file; it is left alone"));
  }
  if (errno == ENOENT) return false;
  return Failed(path);
}

absl::Status WriteBeside(const std::string& path, std::initializer_list<absl::string_view> pieces, Synced synced,
                         std::string* name) {
  EVENKEEL_ASSIGN_OR_RETURN(const int file, CreateBeside(path, name));
  absl::Status status;
  for (const absl::string_view piece : pieces) {
    if (status.ok()) status = WriteAll(file, piece, path);
  }
  if (status.ok() && synced == Synced::kYes && fsync(file) != 0) status = Failed(path);
  if (close(file) != 0 && status.ok()) status = Failed(path);
  return status;
}

}  // namespace evenkeel::tools
