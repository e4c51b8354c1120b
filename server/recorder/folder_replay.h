#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recorder/replayer.h"

namespace evenkeel::recorder {

struct ReplayRange {
  // Steps, both included.
  uint64_t from = 1;
  uint64_t to = UINT64_MAX;
};

// What came of the replay of a job.
struct FolderReplay {
  std::string job;
  // Steps of the range, of which a step that the job went back over counts each time; the first and the last of them.
  uint64_t steps = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  std::optional<Replayer::Difference> difference;
  std::vector<Replayer::Note> notes;
  // One sentence for each file that cannot be read to its end; the replay goes on with the next.
  std::vector<std::string> damage;
  // One for each that ends within a frame, as a file does whose coordinator was killed.
  std::vector<std::string> torn;
};

// Whom a long replay keeps informed.
struct ReplayListener {
  // A step of the range was replayed.
  std::function<void(const Replayer&)> step;
  // The next file, of so many, begins.
  std::function<void(size_t file, size_t files)> file;
};

// Replays the record in `folder`, from the last file that begins before the range on, up to the end of the range or the
// first difference. NOT_FOUND where there is no file; UNAVAILABLE when the folder or a file cannot be read.
absl::StatusOr<FolderReplay> ReplayFolder(const std::string& folder, const ReplayRange& range,
                                          const ReplayListener& listener);

}  // namespace evenkeel::recorder
