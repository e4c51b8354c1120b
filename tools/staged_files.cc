#include "tools/staged_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tools/file_beside.h"

namespace evenkeel::tools {
namespace {

absl::Status Failed(const std::string& path) { return absl::ErrnoToStatus(errno, path); }

}  // namespace

StagedFiles::~StagedFiles() { RollBack(); }

absl::Status StagedFiles::Add(const std::string& path, std::initializer_list<absl::string_view> pieces) {
  EVENKEEL_RETURN_IF_ERROR(IsThere(path).status());
  File file;
  file.path = path;
  const absl::Status status = WriteBeside(path, pieces, Synced::kNo, &file.staged);
  if (!file.staged.empty()) files_.push_back(file);
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
