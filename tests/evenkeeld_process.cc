#include "tests/evenkeeld_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "grpcpp/grpcpp.h"

namespace evenkeel::tests {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Binary() { return absl::StrCat(getenv("TEST_SRCDIR"), "/evenkeel/server/evenkeeld"); }

// By posix_spawn: a fork of a test that has gRPC's threads is no place to run anything in.
pid_t Spawn(const std::vector<std::string>& flags, const std::string& stderr_path, long max_file_bytes) {
  std::vector<std::string> command;
  if (max_file_bytes > 0) command = {"/usr/bin/prlimit", absl::StrCat("--fsize=", max_file_bytes), "--"};
  command.push_back(Binary());
  command.insert(command.end(), flags.begin(), flags.end());
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, stderr_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, words[0], &actions, /*attrp=*/nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EVENKEEL_CHECK(error == 0);
  return pid;
}

Ending EndingOf(int wait_status, const std::string& stderr_path) {
  Ending ending;
  if (WIFEXITED(wait_status)) ending.exit_code = WEXITSTATUS(wait_status);
  if (WIFSIGNALED(wait_status)) ending.signal = WTERMSIG(wait_status);
  ending.stderr_text = ReadAll(stderr_path);
  return ending;
}

// The value of a string field in the one-line JSON of --ready_file.
std::string Field(const std::string& json, const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(json, absl::StrCat("\"", name, "\": \""));
  return parts.size() < 2 ? "" : parts[1].substr(0, parts[1].find('"'));
}

}  // namespace

std::string NewFolder(const std::string& name) {
  static int count = 0;
  const std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/", name, "-", getpid(), "-", count++);
  mkdir(folder.c_str(), 0755);
  return folder;
}

absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> EvenkeeldProcess::Start(const Options& options) {
  std::unique_ptr<EvenkeeldProcess> process(new EvenkeeldProcess);
  const std::string folder = NewFolder("evenkeeld");
  const std::string ready_file = folder + "/ready.json";
  process->stderr_path_ = folder + "/stderr";
  std::vector<std::string> flags = {"--state_dir=" + options.state_dir, "--listen=" + options.listen,
                                    "--metrics_listen=127.0.0.1:0", "--ready_file=" + ready_file};
  flags.insert(flags.end(), options.flags.begin(), options.flags.end());
  process->pid_ = Spawn(flags, process->stderr_path_, options.max_file_bytes);

  // The file appears whole, or the process ends: there is no event to wait for that covers both.
  for (const absl::Time deadline = absl::Now() + absl::Seconds(60); absl::Now() < deadline;) {
    if (access(ready_file.c_str(), F_OK) == 0) {
      const std::string ready = ReadAll(ready_file);
      process->address_ = Field(ready, "grpc");
      process->metrics_address_ = Field(ready, "metrics");
      return process;
    }
    int wait_status = 0;
    if (waitpid(process->pid_, &wait_status, WNOHANG) == process->pid_) {
      process->pid_ = -1;
      const Ending ending = EndingOf(wait_status, process->stderr_path_);
      return absl::UnavailableError(absl::StrCat("exit ", ending.exit_code, ": ", ending.stderr_text));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return absl::DeadlineExceededError("evenkeeld was neither ready nor gone within a minute");
}

EvenkeeldProcess::~EvenkeeldProcess() {
  if (pid_ < 0) return;
  int wait_status = 0;
  if (waitpid(pid_, &wait_status, WNOHANG) == pid_) {
    const Ending ending = EndingOf(wait_status, stderr_path_);
    std::fprintf(stderr, "evenkeeld ended by itself: exit %d, signal %d\n%s", ending.exit_code, ending.signal,
                 ending.stderr_text.c_str());
    return;
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::unique_ptr<v1::BiasCoordinator::Stub> EvenkeeldProcess::NewStub() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxSendMessageSize(-1);
  return v1::BiasCoordinator::NewStub(
      grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments));
}

void EvenkeeldProcess::Signal(int number) { kill(pid_, number); }

Ending EvenkeeldProcess::Wait() {
  int wait_status = 0;
  waitpid(pid_, &wait_status, 0);
  pid_ = -1;
  return EndingOf(wait_status, stderr_path_);
}

Ending RunEvenkeeld(const std::vector<std::string>& flags) {
  const std::string stderr_path = NewFolder("evenkeeld") + "/stderr";
  const pid_t pid = Spawn(flags, stderr_path, /*max_file_bytes=*/0);
  int wait_status = 0;
  waitpid(pid, &wait_status, 0);
  return EndingOf(wait_status, stderr_path);
}

}  // namespace evenkeel::tests
