#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Where the record of a job is: a folder of the record's folder, with files of ascending numbers.
namespace evenkeel::recorder {

// The folder's name for a job: its own, with "/" as "%2F", and "%2E" for a "." in front.
std::string FolderName(absl::string_view job);

struct RecordFile {
  uint64_t number = 0;
  std::string path;
  // As it was when the folder was read.
  uint64_t bytes = 0;
};

// "000017.evkrec" in `folder`.
std::string FilePath(const std::string& folder, uint64_t number);

// The files of the folder, ascending; other files are passed over. Empty where there is no folder. UNAVAILABLE, naming
// the folder and the cause, where it cannot be read.
absl::StatusOr<std::vector<RecordFile>> ListFiles(const std::string& folder);

// The folders of `directory`, ascending. NOT_FOUND where it is not there, UNAVAILABLE where it cannot be read.
absl::StatusOr<std::vector<std::string>> ListFolders(const std::string& directory);

// Makes the folder, for its owner alone, where it is missing. UNAVAILABLE, naming it and the cause.
absl::Status MakeFolder(const std::string& folder);

}  // namespace evenkeel::recorder
