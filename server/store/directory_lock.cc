#include "server/store/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace evenkeel::store {
namespace {

absl::Status Unavailable(const std::string& path, absl::string_view action, absl::string_view cause) {
  return absl::UnavailableError(absl::StrCat("state directory \"", path, "\": cannot ", action, ": ", cause));
}

// Makes the entries of a directory durable.
absl::Status SyncDirectory(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return Unavailable(path, "open", strerror(errno));
  const int error = fsync(descriptor) == 0 ? 0 : errno;
  close(descriptor);
  return error == 0 ? absl::OkStatus() : Unavailable(path, "sync", strerror(error));
}

absl::Status MakeDirectory(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return absl::OkStatus();
  const std::filesystem::path parent = path.parent_path();
  if (!parent.empty()) EVENKEEL_RETURN_IF_ERROR(MakeDirectory(parent));
  std::filesystem::create_directory(path, error);
  if (error) return Unavailable(path.string(), "make", error.message());
  return SyncDirectory(parent.empty() ? "." : parent.string());
}

// "process 123", from what the holder wrote into the lock file.
std::string Holder(int descriptor) {
  char buffer[32];
  const ssize_t size = pread(descriptor, buffer, sizeof(buffer), 0);
  const absl::string_view words(buffer, size > 0 ? size : 0);
  return words.empty() ? "another process" : absl::StrCat("process ", absl::StripAsciiWhitespace(words));
}

// For people only: the lock holds without it, even on a full disk.
void NameHolder(int descriptor) {
  const std::string words = absl::StrCat(getpid(), "\n");
  if (ftruncate(descriptor, 0) == 0) (void)!pwrite(descriptor, words.data(), words.size(), 0);
}

}  // namespace

absl::StatusOr<DirectoryLock> DirectoryLock::Acquire(const std::string& directory) {
  EVENKEEL_RETURN_IF_ERROR(MakeDirectory(directory));
  const std::string path = directory + "/lock";
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return Unavailable(directory, "write the file \"lock\" in it", strerror(errno));
  DirectoryLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Unavailable(directory, "lock", strerror(errno));
    return absl::FailedPreconditionError(
        absl::StrCat("state directory \"", directory, "\" is held by ", Holder(descriptor)));
  }
  NameHolder(descriptor);
  return lock;
}

DirectoryLock::~DirectoryLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

}  // namespace evenkeel::store
