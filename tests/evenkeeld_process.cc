#include "tests/evenkeeld_process.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"

namespace evenkeel::tests {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> CommandOf(const std::vector<std::string>& flags,
                                   const EvenkeeldProcess::Options& options = {}) {
  std::vector<std::string> limits;
  if (options.max_file_bytes > 0) limits.push_back(absl::StrCat("--fsize=", options.max_file_bytes));
  if (options.max_open_files > 0) limits.push_back(absl::StrCat("--nofile=", options.max_open_files));
  std::vector<std::string> command;
  if (!limits.empty()) {
    command = {"prlimit"};
    command.insert(command.end(), limits.begin(), limits.end());
    command.push_back("--");
  }
  if (!options.environment.empty()) command.push_back("env");
  command.insert(command.end(), options.environment.begin(), options.environment.end());
  command.push_back(BuiltProgram("server/evenkeeld"));
  command.insert(command.end(), flags.begin(), flags.end());
  return command;
}

// The value of a string field in the one-line JSON of --ready_file.
std::string Field(const std::string& json, const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(json, absl::StrCat("\"", name, "\": \""));
  return parts.size() < 2 ? "" : parts[1].substr(0, parts[1].find('"'));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> EvenkeeldProcess::Start(const Options& options) {
  const std::string ready_file = NewFolder("evenkeeld") + "/ready.json";
  std::vector<std::string> flags = {"--state_dir=" + options.state_dir, "--listen=" + options.listen,
                                    "--metrics_listen=127.0.0.1:0", "--ready_file=" + ready_file};
  flags.insert(flags.end(), options.flags.begin(), options.flags.end());
  std::unique_ptr<EvenkeeldProcess> process(new EvenkeeldProcess(CommandOf(flags, options)));

  // The file appears whole, or the process ends: there is no event to wait for that covers both.
  for (const absl::Time deadline = absl::Now() + absl::Seconds(60); absl::Now() < deadline;) {
    if (access(ready_file.c_str(), F_OK) == 0) {
      const std::string ready = ReadAll(ready_file);
      process->address_ = Field(ready, "grpc");
      process->metrics_address_ = Field(ready, "metrics");
      process->admin_address_ = Field(ready, "admin");
      return process;
    }
    const std::optional<Ending> ending = process->process_.Poll();
    if (ending.has_value()) {
      return absl::UnavailableError(absl::StrCat("exit ", ending->exit_code, ": ", ending->stderr_text));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return absl::DeadlineExceededError("evenkeeld was neither ready nor gone within a minute");
}

EvenkeeldProcess::~EvenkeeldProcess() {
  const std::optional<Ending> ending = process_.Poll();
  if (!ending.has_value()) return;
  std::fprintf(stderr, "evenkeeld ended by itself: exit %d, signal %d\n%s", ending->exit_code, ending->signal,
               ending->stderr_text.c_str());
}

std::unique_ptr<v1::BiasCoordinator::Stub> EvenkeeldProcess::NewStub() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxSendMessageSize(-1);
  return v1::BiasCoordinator::NewStub(
      grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments));
}

Ending RunEvenkeeld(const std::vector<std::string>& flags) {
  return ChildProcess(CommandOf(flags)).WaitAtMost(absl::Seconds(30));
}

}  // namespace evenkeel::tests
