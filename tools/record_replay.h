#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/recorder/folder_replay.h"
#include "tools/command.h"

// evenkeel replay --record.
namespace evenkeel::tools {

struct RecordOptions {
  std::string record;
  // Empty: all jobs of the record.
  std::string job;
  recorder::ReplayRange range;
  // Empty: the biases are not written.
  std::string out;
  bool json = false;
};

// Replays the jobs of a record and tells what came of it. OK where run and record are the same; FAILED_PRECONDITION
// where they differ, or a file is damaged; else what keeps it from being replayed.
absl::Status ReplayRecord(const RecordOptions& options, Streams streams);

}  // namespace evenkeel::tools
