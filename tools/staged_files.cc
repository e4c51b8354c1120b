#include "tools/staged_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace evenkeel::tools {
namespace {

absl::Status Failed(const std::string& path) { return absl::ErrnoToStatus(errno, path); }

// Whether there is a file to replace. Folders, devices, links and the like are never moved.
absl::StatusOr<bool> IsThere(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) {
    if (S_ISREG(info.st_mode)) return true;
    return absl::FailedPreconditionError(absl::StrCat(path, ": not a regular file; it is left alone"));
  }
  if (errno == ENOENT) return false;
  return Failed(path);
}

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
    *name = absl::StrCat(path, ".", getpid(), ".", attempt, ".tmp");
    const int file = open(name->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) return file;
    if (errno != EEXIST) return Failed(path);
  }
}

}  // namespace

StagedFiles::~StagedFiles() { RollBack(); }

absl::Status StagedFiles::Add(const std::string& path, std::initializer_list<absl::string_view> pieces) {
  EVENKEEL_RETURN_IF_ERROR(IsThere(path).status());
  File file;
  file.path = path;
  EVENKEEL_ASSIGN_OR_RETURN(const int descriptor, CreateBeside(path, &file.staged));
  files_.push_back(file);
  absl::Status status;
  for (const absl::string_view piece : pieces) {
    if (status.ok()) status = WriteAll(descriptor, piece, path);
  }
  if (close(descriptor) != 0 && status.ok()) status = Failed(path);
  return status;
}

absl::Status StagedFiles::Commit() {
  for (File& file : files_) {
    if (absl::Status status = MoveIntoPlace(&file); !status.ok()) {
      RollBack();
      return status;
    }
  }
  for (const File& file : files_) {
    if (file.has_moved_aside) unlink(file.old.c_str());
  }
  files_.clear();
  return absl::OkStatus();
}

absl::Status StagedFiles::MoveIntoPlace(File* file) {
  EVENKEEL_ASSIGN_OR_RETURN(const bool is_there, IsThere(file->path));
  if (is_there) {
    file->old = absl::StrCat(file->staged, ".old.tmp");
    if (std::rename(file->path.c_str(), file->old.c_str()) != 0) return Failed(file->path);
    file->has_moved_aside = true;
  }
  if (std::rename(file->staged.c_str(), file->path.c_str()) != 0) return Failed(file->path);
  file->is_in_place = true;
  return absl::OkStatus();
}

void StagedFiles::RollBack() {
  for (const File& file : files_) {
    unlink(file.is_in_place ? file.path.c_str() : file.staged.c_str());
    if (file.has_moved_aside) std::rename(file.old.c_str(), file.path.c_str());
  }
  files_.clear();
}

}  // namespace evenkeel::tools
