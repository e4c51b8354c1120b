#include "base/file_stamp.h"

#include <sys/stat.h>

namespace evenkeel {

FileStamp StampOf(const std::string& path) {
  struct stat entry;
  if (stat(path.c_str(), &entry) != 0) return {};
  constexpr int64_t kNanoseconds = 1'000'000'000;
  return {entry.st_dev, entry.st_ino, entry.st_mtim.tv_sec * kNanoseconds + entry.st_mtim.tv_nsec, entry.st_size};
}

}  // namespace evenkeel
