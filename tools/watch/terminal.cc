#include "tools/watch/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace evenkeel::tools {
namespace {

constexpr std::array<int, 6> kSignals = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH};

// Where the handler writes the signal's number.
volatile sig_atomic_t signal_pipe = -1;

void TellSignal(int number) {
  const int error = errno;
  const char byte = static_cast<char>(number);
  // A full pipe has told of enough.
  [[maybe_unused]] const ssize_t written = write(signal_pipe, &byte, 1);
  errno = error;
}

constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l\x1b[0m\x1b[2J";
constexpr char kLeave[] = "\x1b[0m\x1b[?25h\x1b[?1049l";

}  // namespace

struct Terminal::Saved {
  termios settings = {};
  std::array<struct sigaction, kSignals.size()> actions = {};
};

Terminal::Terminal() : saved_(new Saved) {
  EVENKEEL_CHECK(signal_pipe == -1);
  int ends[2];
  EVENKEEL_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  signals_ = ends[0];
  signal_pipe = ends[1];
  struct sigaction action = {};
  action.sa_handler = TellSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &saved_->actions[i]);
  tcgetattr(STDIN_FILENO, &saved_->settings);
  Enter();
}

Terminal::~Terminal() {
  Leave();
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &saved_->actions[i], nullptr);
  close(signal_pipe);
  signal_pipe = -1;
  close(signals_);
  delete saved_;
}

void Terminal::Enter() {
  termios raw = saved_->settings;
  // Ctrl-C and Ctrl-Z stay what they are.
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
  Write(kEnter);
  Forget();
}

void Terminal::Leave() {
  Write(kLeave);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_->settings);
}

WindowSize Terminal::size() const {
  winsize window = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0) return {};
  return {window.ws_col, window.ws_row};
}

void Terminal::Draw(const std::vector<std::string>& lines) {
  std::string bytes;
  if (!is_known_) {
    bytes = "\x1b[0m\x1b[2J";
    lines_.clear();
  }
  for (size_t i = 0; i < lines.size() || i < lines_.size(); ++i) {
    const std::string line = i < lines.size() ? lines[i] : "";
    if (i < lines_.size() && line == lines_[i]) continue;
    // Erased first: at the end of a full line some terminals would erase its last character.
    absl::StrAppend(&bytes, "\x1b[", i + 1, ";1H\x1b[K", line);
  }
  Write(bytes);
  lines_ = lines;
  is_known_ = true;
}

void Terminal::Forget() { is_known_ = false; }

Terminal::Events Terminal::Wait(int other) {
  pollfd waited[] = {{STDIN_FILENO, POLLIN, 0}, {signals_, POLLIN, 0}, {other, POLLIN, 0}};
  Events events;
  if (poll(waited, 3, /*timeout=*/-1) < 0) return events;
  char bytes[256];
  if (waited[0].revents != 0) {
    const ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (got > 0) events.typed.assign(bytes, static_cast<size_t>(got));
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) events.ended = true;
  }
  if (waited[1].revents != 0) {
    const ssize_t got = read(signals_, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < got; ++i) {
      if (bytes[i] == SIGWINCH || bytes[i] == SIGCONT) {
        events.resized = true;
      } else if (bytes[i] == SIGTSTP) {
        events.stopped = true;
      } else {
        events.ended = true;
      }
    }
  }
  events.other = waited[2].revents != 0;
  events.ended = events.ended || is_gone_;
  return events;
}

void Terminal::Suspend() {
  Leave();
  raise(SIGSTOP);
  Enter();
}

void Terminal::Write(const std::string& bytes) {
  for (size_t done = 0; done < bytes.size() && !is_gone_;) {
    const ssize_t wrote = write(STDOUT_FILENO, bytes.data() + done, bytes.size() - done);
    if (wrote > 0) {
      done += static_cast<size_t>(wrote);
    } else if (errno == EAGAIN) {
      pollfd waited = {STDOUT_FILENO, POLLOUT, 0};
      poll(&waited, 1, /*timeout=*/-1);
    } else if (errno != EINTR) {
      is_gone_ = true;
    }
  }
}

}  // namespace evenkeel::tools
