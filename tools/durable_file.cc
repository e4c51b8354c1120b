#include "tools/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/status_macros.h"
#include "tools/file_beside.h"

namespace evenkeel::tools {
namespace {

// Makes the names in the folder of `path` last.
absl::Status SyncFolder(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  const int folder = open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return absl::ErrnoToStatus(errno, path);
  const absl::Status status = fsync(folder) == 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, path);
  close(folder);
  return status;
}

}  // namespace

absl::Status WriteDurably(const std::string& path, std::initializer_list<absl::string_view> pieces) {
  EVENKEEL_RETURN_IF_ERROR(IsThere(path).status());
  std::string name;
  absl::Status status = WriteBeside(path, pieces, Synced::kYes, &name);
  if (status.ok() && std::rename(name.c_str(), path.c_str()) != 0) status = absl::ErrnoToStatus(errno, path);
  if (status.ok()) return SyncFolder(path);
  if (!name.empty()) unlink(name.c_str());
  return status;
}

}  // namespace evenkeel::tools
