#include "server/log/log_writer.h"

#include <unistd.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/json_text.h"

namespace evenkeel {
namespace {

const char* NameOf(LogEvent::Level level) {
  switch (level) {
    case LogEvent::Level::kInfo:
      return "info";
    case LogEvent::Level::kWarning:
      return "warning";
    case LogEvent::Level::kError:
      break;
  }
  return "error";
}

std::string TextLine(const LogEvent& event) {
  const std::string level =
      event.level == LogEvent::Level::kInfo ? std::string() : absl::StrCat(NameOf(event.level), ": ");
  return absl::StrCat("evenkeeld: ", level, event.message, "\n");
}

std::string JsonLine(const LogEvent& event, absl::Time now) {
  const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", now, absl::UTCTimeZone());
  const std::string job = event.job.empty() ? "" : absl::StrCat(", \"job\": ", JsonString(event.job));
  return absl::StrCat("{\"time\": \"", time, "\", \"level\": \"", NameOf(event.level), "\", \"event\": \"", event.name,
                      "\"", job, ", \"message\": ", JsonString(event.message), "}\n");
}

absl::Status NoWord(absl::string_view field, absl::string_view word, absl::string_view words) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is \"", absl::CHexEscape(word), "\"; it must be one of ", words));
}

}  // namespace

absl::StatusOr<LogFormat> LogFormatOf(absl::string_view field, absl::string_view word) {
  if (word == "text") return LogFormat::kText;
  if (word == "json") return LogFormat::kJson;
  return NoWord(field, word, "text, json");
}

absl::StatusOr<LogEvent::Level> LogLevelOf(absl::string_view field, absl::string_view word) {
  for (const LogEvent::Level level : {LogEvent::Level::kInfo, LogEvent::Level::kWarning, LogEvent::Level::kError}) {
    if (word == NameOf(level)) return level;
  }
  return NoWord(field, word, "info, warning, error");
}

std::string LogLine(const LogEvent& event, LogFormat format, absl::Time now) {
  return format == LogFormat::kText ? TextLine(event) : JsonLine(event, now);
}

void LogWriter::Write(const LogEvent& event) const {
  if (event.level < least_) return;
  const std::string line = LogLine(event, format_, absl::Now());
  const ssize_t ignored = write(file_, line.data(), line.size());
  (void)ignored;
}

}  // namespace evenkeel
