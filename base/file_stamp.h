#pragma once

#include <cstdint>
#include <string>
#include <tuple>

namespace evenkeel {

// Tells one content of a file from the next without reading it: where it lies, when it was written, and its size. All 0
// where there is no file.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t modified_ns = 0;
  int64_t size = 0;

  bool operator==(const FileStamp& other) const {
    return std::tie(device, inode, modified_ns, size) ==
           std::tie(other.device, other.inode, other.modified_ns, other.size);
  }
  bool operator!=(const FileStamp& other) const { return !(*this == other); }
};

FileStamp StampOf(const std::string& path);

}  // namespace evenkeel
