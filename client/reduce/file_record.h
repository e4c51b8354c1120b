#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace evenkeel::client {

// What a rank leaves in the folder of a file rendezvous.
struct FileRecord {
  // Names the rank's value and the process's life that gave it.
  uint64_t token = 0;
  // The token of each rank that it has seen; 0 where it has seen none.
  std::vector<uint64_t> seen;
  std::string value;
};

// "EKR1", then the number of ranks (4 bytes), token and seen (8 bytes each), all little-endian, then the value.
std::string Serialize(const FileRecord& record);
// DATA_LOSS where the bytes are none of Serialize's.
absl::StatusOr<FileRecord> ParseFileRecord(absl::string_view bytes);

}  // namespace evenkeel::client
