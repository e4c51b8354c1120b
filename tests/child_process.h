#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace evenkeel::tests {

// How a process ended, and what it wrote.
struct Ending {
  // Exit code, or -1 when a signal ended it.
  int exit_code = -1;
  int signal = 0;
  std::string stdout_text;
  std::string stderr_text;
};

// A process of a test's, its output kept in files, its input a line to the test. Its destructor kills it.
class ChildProcess {
 public:
  // Starts `command`; the first word is a path, or a name that PATH finds. By posix_spawn: a fork of a test that has
  // gRPC's threads is no place to run anything in. A command that cannot be started ends the test program.
  explicit ChildProcess(const std::vector<std::string>& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int number);

  // Writes a line to its stdin, or ends that. What a process that has ended is told is lost.
  void Tell(const std::string& line);
  void EndInput();

  // What it has written to stdout, and to stderr, so far.
  std::string Output() const;
  std::string Errors() const;

  // How it has ended, if it has. After an answer, and after Wait, there is no process.
  std::optional<Ending> Poll();
  Ending Wait();
  // The same, but one that still lives when that time has passed is killed.
  Ending WaitAtMost(absl::Duration patience);

 private:
  std::optional<Ending> Reap(int options);

  std::string folder_;
  pid_t pid_ = -1;
  int input_ = -1;
};

// A fresh folder under the test's temporary directory.
std::string NewFolder(const std::string& name);

// The path of a program that the test has as data, "server/evenkeeld", say.
std::string BuiltProgram(const std::string& path);

}  // namespace evenkeel::tests
