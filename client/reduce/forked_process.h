#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace evenkeel::client {

// One end of a line between a test and a process that it forked off. Lines are text without line feeds.
class Talk {
 public:
  Talk(int socket, int patience_ms) : socket_(socket), patience_ms_(patience_ms) {}

  void Say(const std::string& line);
  // The next line of the other side; "(silence)" when it has ended, or, to the test, says nothing for a minute.
  std::string Hear();

 private:
  const int socket_;
  const int patience_ms_;  // negative: for ever
  std::string heard_;
};

// A process of a test's own code, forked off, so before the test has started a thread. It ends with its body, with its
// parent, or when it is destroyed.
class ForkedProcess {
 public:
  explicit ForkedProcess(const std::function<void(Talk&)>& body);
  ~ForkedProcess();
  ForkedProcess(const ForkedProcess&) = delete;
  ForkedProcess& operator=(const ForkedProcess&) = delete;

  void Say(const std::string& line) { talk_.Say(line); }
  std::string Hear() { return talk_.Hear(); }

  // SIGSTOP has happened when this returns, and so has SIGKILL: the process is gone.
  void Signal(int number);

 private:
  explicit ForkedProcess(const int sockets[2], const std::function<void(Talk&)>& body);

  pid_t pid_ = -1;
  int socket_ = -1;
  Talk talk_;
};

}  // namespace evenkeel::client
