#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/log_event.h"

namespace evenkeel {

enum class LogFormat {
  kText,  // "evenkeeld: warning: job "pretrain", step 7: ...", for people and for journals, which add the time
  kJson,  // {"time": "2026-11-22T05:00:00.123Z", "level": "warning", "event": "violation", "job": "pretrain",
          // "message": "..."}
};

// "text" or "json", and "info", "warning" or "error". INVALID_ARGUMENT, naming `field` and the value.
absl::StatusOr<LogFormat> LogFormatOf(absl::string_view field, absl::string_view word);
absl::StatusOr<LogEvent::Level> LogLevelOf(absl::string_view field, absl::string_view word);

// The line of an event, with its end.
std::string LogLine(const LogEvent& event, LogFormat format, absl::Time now);

// Writes events to a file, each as one line in one write, so that lines of several threads and processes stay whole.
// Thread-safe. What cannot be written is lost: a log holds nothing up.
class LogWriter {
 public:
  // To `file`, a descriptor that outlives the writer; without what is below `least`.
  LogWriter(int file, LogFormat format, LogEvent::Level least) : file_(file), format_(format), least_(least) {}

  void Write(const LogEvent& event) const;

 private:
  int file_;
  LogFormat format_;
  LogEvent::Level least_;
};

}  // namespace evenkeel
