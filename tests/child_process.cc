#include "tests/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"

namespace evenkeel::tests {
namespace {

constexpr char kStdout[] = "/stdout";
constexpr char kStderr[] = "/stderr";
constexpr absl::Duration kPollInterval = absl::Milliseconds(2);

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string NewFolder(const std::string& name) {
  static int count = 0;
  const std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/", name, "-", getpid(), "-", count++);
  mkdir(folder.c_str(), 0755);
  return folder;
}

std::string BuiltProgram(const std::string& path) { return absl::StrCat(getenv("TEST_SRCDIR"), "/evenkeel/", path); }

ChildProcess::ChildProcess(const std::vector<std::string>& command) : folder_(NewFolder("child")) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  int input[2];
  EVENKEEL_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input) == 0);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[1], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, (folder_ + kStdout).c_str(), kFlags, 0644);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (folder_ + kStderr).c_str(), kFlags, 0644);
  const int error = posix_spawnp(&pid_, words[0], &actions, /*attrp=*/nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(input[1]);
  input_ = input[0];
  EVENKEEL_CHECK(error == 0);
}

ChildProcess::~ChildProcess() {
  EndInput();
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void ChildProcess::Signal(int number) {
  // To nobody, once it has been waited for: -1 would be everybody.
  if (pid_ > 0) kill(pid_, number);
}

void ChildProcess::Tell(const std::string& line) {
  const std::string text = line + "\n";
  send(input_, text.data(), text.size(), MSG_NOSIGNAL);
}

void ChildProcess::EndInput() {
  if (input_ >= 0) close(input_);
  input_ = -1;
}

std::string ChildProcess::Output() const { return ReadAll(folder_ + kStdout); }

std::string ChildProcess::Errors() const { return ReadAll(folder_ + kStderr); }

std::optional<Ending> ChildProcess::Poll() { return Reap(WNOHANG); }

Ending ChildProcess::Wait() { return Reap(0).value_or(Ending()); }

Ending ChildProcess::WaitAtMost(absl::Duration patience) {
  for (const absl::Time deadline = absl::Now() + patience; absl::Now() < deadline; absl::SleepFor(kPollInterval)) {
    if (const std::optional<Ending> ending = Poll(); ending.has_value()) return *ending;
  }
  Signal(SIGKILL);
  return Wait();
}

std::optional<Ending> ChildProcess::Reap(int options) {
  int status = 0;
  if (pid_ < 0 || waitpid(pid_, &status, options) != pid_) return std::nullopt;
  pid_ = -1;
  Ending ending;
  if (WIFEXITED(status)) ending.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ending.signal = WTERMSIG(status);
  ending.stdout_text = ReadAll(folder_ + kStdout);
  ending.stderr_text = ReadAll(folder_ + kStderr);
  return ending;
}

}  // namespace evenkeel::tests
