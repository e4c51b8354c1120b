#include "server/recorder/folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace evenkeel::recorder {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kSuffix = ".evkrec";

absl::Status Unusable(const std::string& path, const std::string& cause) {
  return absl::UnavailableError(absl::StrCat(path, ": ", cause));
}

// Of a name that FilePath gave.
bool ReadNumber(absl::string_view name, uint64_t* number) {
  return absl::ConsumeSuffix(&name, kSuffix) && name.size() >= 6 && absl::SimpleAtoi(name, number) && *number > 0;
}

}  // namespace

std::string FolderName(absl::string_view job) {
  std::string name = absl::StrReplaceAll(job, {{"/", "%2F"}});
  if (absl::StartsWith(name, ".")) name.replace(0, 1, "%2E");
  return name;
}

std::string FilePath(const std::string& folder, uint64_t number) {
  return absl::StrFormat("%s/%06d%s", folder, number, kSuffix);
}

absl::StatusOr<std::vector<RecordFile>> ListFiles(const std::string& folder) {
  std::vector<RecordFile> files;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error == std::errc::no_such_file_or_directory) return files;
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    RecordFile file;
    if (!ReadNumber(entries->path().filename().string(), &file.number)) continue;
    file.path = entries->path().string();
    std::error_code gone;
    file.bytes = entries->file_size(gone);
    if (!gone) files.push_back(std::move(file));
  }
  if (error) return Unusable(folder, error.message());
  std::sort(files.begin(), files.end(), [](const RecordFile& a, const RecordFile& b) { return a.number < b.number; });
  return files;
}

absl::StatusOr<std::vector<std::string>> ListFolders(const std::string& directory) {
  std::vector<std::string> folders;
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  if (error == std::errc::no_such_file_or_directory) {
    return absl::NotFoundError(absl::StrCat(directory, ": ", error.message()));
  }
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    std::error_code gone;
    if (entries->is_directory(gone)) folders.push_back(entries->path().string());
  }
  if (error) return Unusable(directory, error.message());
  std::sort(folders.begin(), folders.end());
  return folders;
}

absl::Status MakeFolder(const std::string& folder) {
  if (mkdir(folder.c_str(), S_IRWXU) == 0) return absl::OkStatus();
  const int cause = errno;
  if (cause == EEXIST && fs::is_directory(folder)) return absl::OkStatus();
  return Unusable(folder, std::strerror(cause));
}

}  // namespace evenkeel::recorder
