#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "server/core/record.h"
#include "server/recorder/events.h"

namespace evenkeel::recorder {

// How much of a job's record is kept.
struct Bounds {
  int64_t file_bytes = 64 << 20;
  int64_t job_bytes = int64_t{1} << 30;
};

// Writes the record of one job. A file is made when there is something to write to it; it is full when it has reached
// file_bytes and holds an event beside its state. Older files are removed once all have more than job_bytes, but the
// one that is written never is. Files are for their owner alone, and nothing is synchronised to disk. Not thread-safe.
class JobRecord {
 public:
  // One thing that happened: the state after it, and how the commit that made it was told, if one did.
  struct Event {
    WholeState state;
    std::optional<core::RoutedStep> commit;
  };

  // In the folder, which is made when it is needed; files that are there are followed. Where the job is is not known
  // before GoOnFrom, or the first event.
  JobRecord(std::string folder, const Bounds& bounds);
  ~JobRecord();
  JobRecord(const JobRecord&) = delete;
  JobRecord& operator=(const JobRecord&) = delete;

  // The job goes on from here.
  void GoOnFrom(v1::RecordedState::Cause cause, WholeState state);

  // Writes the event. UNAVAILABLE, naming the file and the cause, when it cannot: then the file ends before it, as far
  // as that can be done, and the next event begins a new one, behind a gap.
  absl::Status Take(Event event);

 private:
  absl::Status Write(v1::RecordedEvent event);
  absl::Status MakeFile();
  absl::Status RemoveOldFiles();
  absl::Status TakeBack(int error);
  void Close();

  const std::string folder_;
  const Bounds bounds_;

  // Where the job is, and why a file that begins there would.
  WholeState state_;
  v1::RecordedState::Cause cause_ = v1::RecordedState::GAP;

  // The file that is written; -1 without one.
  int file_ = -1;
  std::string path_;
  uint64_t file_number_ = 0;
  int64_t bytes_ = 0;
  uint64_t events_ = 0;
};

}  // namespace evenkeel::recorder
