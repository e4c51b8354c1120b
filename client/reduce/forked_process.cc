#include "client/reduce/forked_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/check.h"

namespace evenkeel::client {
namespace {

constexpr int kPatienceMs = 60'000;

// The two ends: the test's, and its process's.
std::array<int, 2> NewLine() {
  std::array<int, 2> ends;
  EVENKEEL_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  return ends;
}

}  // namespace

void Talk::Say(const std::string& line) {
  const std::string text = line + "\n";
  // Whether anyone hears it, Hear tells.
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t count = send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += count;
  }
}

std::string Talk::Hear() {
  size_t end = 0;
  while ((end = heard_.find('\n')) == std::string::npos) {
    pollfd readable = {socket_, POLLIN, 0};
    char buffer[4096];
    const bool ready = poll(&readable, 1, patience_ms_) > 0;
    const ssize_t count = ready ? read(socket_, buffer, sizeof(buffer)) : 0;
    if (count <= 0) return "(silence)";
    heard_.append(buffer, count);
  }
  const std::string line = heard_.substr(0, end);
  heard_.erase(0, end + 1);
  return line;
}

ForkedProcess::ForkedProcess(const std::function<void(Talk&)>& body) : ForkedProcess(NewLine().data(), body) {}

ForkedProcess::ForkedProcess(const int sockets[2], const std::function<void(Talk&)>& body)
    : socket_(sockets[0]), talk_(sockets[0], kPatienceMs) {
  const int theirs = sockets[1];
  const pid_t test = getpid();
  pid_ = fork();
  EVENKEEL_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != test) _exit(1);
    close(socket_);
    Talk talk(theirs, /*patience_ms=*/-1);
    body(talk);
    _exit(0);
  }
  close(theirs);
}

ForkedProcess::~ForkedProcess() {
  Signal(SIGKILL);
  close(socket_);
}

void ForkedProcess::Signal(int number) {
  if (pid_ < 0) return;
  kill(pid_, number);
  if (number == SIGSTOP) {
    waitpid(pid_, nullptr, WUNTRACED);
  } else if (number == SIGKILL) {
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

}  // namespace evenkeel::client
