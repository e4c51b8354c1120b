#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_stamp.h"
#include "base/log_event.h"

namespace evenkeel::security {

// Keeps what was read from files as new as they are. Of one thread, which asks now and then.
class WatchedFiles {
 public:
  // `log` gets a line for what was read again, or cannot be used: then what was read before stays.
  explicit WatchedFiles(LogSink log) : log_(std::move(log)) {}

  // Files that are read together by `load`, which takes them over whole or not at all. Loads them; where that fails,
  // they are not watched.
  absl::Status Add(std::vector<std::string> paths, std::function<absl::Status()> load);

  // Loads what has changed since it was loaded, or tried, last.
  void Poll();
  // Loads everything.
  void Reload();

 private:
  struct Group {
    std::vector<std::string> paths;
    std::function<absl::Status()> load;
    std::vector<FileStamp> stamps;
  };

  void Load(Group* group);

  const LogSink log_;
  std::vector<Group> groups_;
};

}  // namespace evenkeel::security
