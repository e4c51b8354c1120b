#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace evenkeel::tools {

// Files that appear together or not at all. Add() writes each beside its place under a temporary name (ending in
// .tmp), Commit() moves them into place; an error of either, or destruction without Commit(), leaves every path as it
// was. Not durable: nothing is synced. Not thread-safe.
class StagedFiles {
 public:
  StagedFiles() = default;
  ~StagedFiles();
  StagedFiles(const StagedFiles&) = delete;
  StagedFiles& operator=(const StagedFiles&) = delete;

  // The pieces, one after another, will be the file at `path`. Errors name `path`: FAILED_PRECONDITION when something
  // other than a regular file is there, else what the system says.
  absl::Status Add(const std::string& path, std::initializer_list<absl::string_view> pieces);

  // Once, at the end. Errors as Add().
  absl::Status Commit();

 private:
  struct File {
    std::string path;
    std::string staged;  // the new file until it is in place
    std::string old;     // where the old file waits, in case it must come back
    bool has_moved_aside = false;
    bool is_in_place = false;
  };

  static absl::Status MoveIntoPlace(File* file);
  void RollBack();

  std::vector<File> files_;
};

}  // namespace evenkeel::tools
