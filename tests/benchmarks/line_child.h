#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace evenkeel::benchmarks {

// A child process that answers each line on its stdin by a line on its stdout; its stderr is ours. One thread at a time
// may use it.
class LineChild {
 public:
  // Starts argv[0], which is looked up in PATH. UNAVAILABLE, naming it, when it does not start. From then on SIGPIPE is
  // ignored in this process: a child that is gone is an error of Ask.
  static absl::StatusOr<std::unique_ptr<LineChild>> Start(std::vector<std::string> argv);

  // The child ends with its stdin, and is waited for.
  ~LineChild();
  LineChild(const LineChild&) = delete;
  LineChild& operator=(const LineChild&) = delete;

  // The line that answers `line`, both without the newline. UNAVAILABLE, naming argv[0], when the child has ended, or
  // has not answered within `patience` and is ended for it.
  absl::StatusOr<std::string> Ask(const std::string& line, absl::Duration patience = absl::InfiniteDuration());

 private:
  LineChild(std::string name, int process, int to_child, int from_child);

  // What the child wrote is there to be read, or it has closed its stdout. False when `deadline` came first.
  bool WaitForOutput(absl::Time deadline) const;
  absl::Status Ended() const;

  const std::string name_;
  const int process_;
  const int to_child_;
  const int from_child_;
  std::string unread_;
};

}  // namespace evenkeel::benchmarks
