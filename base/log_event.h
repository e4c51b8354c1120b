#pragma once

#include <functional>
#include <string>
#include <utility>

namespace evenkeel {

// Something that an operator may want to know of later: one line of a log. Seldom by nature; nothing that happens at
// every step, or as often as a stranger likes, is one.
struct LogEvent {
  enum class Level { kInfo, kWarning, kError };

  Level level = Level::kInfo;
  // What has happened, in one word, by which a log is searched: a literal. doc/operations.md lists them.
  const char* name = "";
  // A sentence for people, in UTF-8 without control characters.
  std::string message;
  // The job that it is about; empty where it is about none.
  std::string job = {};
};

inline LogEvent InfoEvent(const char* name, std::string message, std::string job = {}) {
  return {LogEvent::Level::kInfo, name, std::move(message), std::move(job)};
}
// Something is not as it should be, and goes on.
inline LogEvent WarningEvent(const char* name, std::string message, std::string job = {}) {
  return {LogEvent::Level::kWarning, name, std::move(message), std::move(job)};
}
// Something has stopped, or is lost.
inline LogEvent ErrorEvent(const char* name, std::string message, std::string job = {}) {
  return {LogEvent::Level::kError, name, std::move(message), std::move(job)};
}

// Where events go; called from any thread, must not block.
using LogSink = std::function<void(const LogEvent&)>;

}  // namespace evenkeel
