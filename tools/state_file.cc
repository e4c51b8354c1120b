#include "tools/state_file.h"

#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tools/input_file.h"

namespace evenkeel::tools {
namespace {

absl::StatusOr<job::SnapshotStates> Read(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  // More is no protobuf message.
  constexpr uint64_t kMaxBytes = std::numeric_limits<int32_t>::max();
  if (file.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.size(), " bytes are no Snapshot, which has at most ", kMaxBytes));
  }
  std::string bytes(file.size(), '\0');
  EVENKEEL_RETURN_IF_ERROR(file.ReadAt(0, bytes.size(), bytes.data()));
  return job::DecodeSnapshot(bytes);
}

}  // namespace

absl::StatusOr<job::SnapshotStates> ReadStateFile(const std::string& path) {
  absl::StatusOr<job::SnapshotStates> states = Read(path);
  if (states.ok()) return states;
  return absl::Status(states.status().code(), absl::StrCat(path, ": ", states.status().message()));
}

}  // namespace evenkeel::tools
