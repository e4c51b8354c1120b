#include "tests/benchmarks/line_child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"

namespace evenkeel::benchmarks {
namespace {

// All of `text`, or false.
bool Write(int file, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno != EINTR) return false;
    text.remove_prefix(std::max<ssize_t>(written, 0));
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LineChild>> LineChild::Start(std::vector<std::string> argv) {
  signal(SIGPIPE, SIG_IGN);
  int to_child[2], from_child[2];
  EVENKEEL_CHECK(pipe2(to_child, O_CLOEXEC) == 0 && pipe2(from_child, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  const int error = posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(to_child[0]);
  close(from_child[1]);
  if (error != 0) {
    close(to_child[1]);
    close(from_child[0]);
    return absl::UnavailableError(absl::StrCat("cannot start ", argv[0], ": ", std::strerror(error)));
  }
  return std::unique_ptr<LineChild>(new LineChild(std::move(argv[0]), process, to_child[1], from_child[0]));
}

LineChild::LineChild(std::string name, int process, int to_child, int from_child)
    : name_(std::move(name)), process_(process), to_child_(to_child), from_child_(from_child) {}

LineChild::~LineChild() {
  close(to_child_);
  close(from_child_);
  waitpid(process_, nullptr, 0);
}

absl::StatusOr<std::string> LineChild::Ask(const std::string& line, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  if (!Write(to_child_, absl::StrCat(line, "\n"))) return Ended();
  size_t end = unread_.find('\n');
  while (end == std::string::npos) {
    if (!WaitForOutput(deadline)) {
      kill(process_, SIGKILL);
      return absl::UnavailableError(absl::StrCat(name_, " said nothing for ", absl::FormatDuration(patience)));
    }
    char bytes[4096];
    const ssize_t length = read(from_child_, bytes, sizeof(bytes));
    if (length == 0 || (length < 0 && errno != EINTR)) return Ended();
    unread_.append(bytes, std::max<ssize_t>(length, 0));
    end = unread_.find('\n');
  }
  std::string answer = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  return answer;
}

bool LineChild::WaitForOutput(absl::Time deadline) const {
  // In parts, as poll knows no eternity that is a duration; a signal ends a part early.
  constexpr absl::Duration kPart = absl::Minutes(1);
  for (;;) {
    const absl::Duration left = std::clamp(deadline - absl::Now(), absl::ZeroDuration(), kPart);
    pollfd output = {from_child_, POLLIN, 0};
    if (poll(&output, 1, static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))))) > 0) {
      return true;
    }
    if (absl::Now() >= deadline) return false;
  }
}

absl::Status LineChild::Ended() const { return absl::UnavailableError(absl::StrCat(name_, " has ended")); }

}  // namespace evenkeel::benchmarks
