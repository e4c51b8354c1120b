#include "tests/benchmarks/eager_peer.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "config/route_spec.h"
#include "google/protobuf/util/json_util.h"

namespace evenkeel::benchmarks {
namespace {

using config::YamlNode;

std::string JsonOf(const routing::RouteSpec& spec) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  EVENKEEL_CHECK(google::protobuf::util::MessageToJsonString(config::RouteSpecToProto(spec), &json, options).ok());
  return json;
}

// The text of a field; empty if there is none.
std::string Text(const YamlNode& answer, absl::string_view field) {
  for (const YamlNode& child : answer.children) {
    if (child.key == field) return child.text;
  }
  return "";
}

absl::StatusOr<double> Seconds(const YamlNode& answer, absl::string_view field) {
  double seconds;
  if (absl::SimpleAtod(Text(answer, field), &seconds) && seconds > 0) return seconds;
  return absl::InternalError(absl::StrCat("the eager peer says no ", field));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EagerPeer>> EagerPeer::Start(const std::string& python, const std::string& script,
                                                            int threads) {
  // A child that is gone is an error of a write, not the end of this process.
  signal(SIGPIPE, SIG_IGN);
  int to_child[2], from_child[2];
  EVENKEEL_CHECK(pipe2(to_child, O_CLOEXEC) == 0 && pipe2(from_child, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
  std::string arguments[] = {python, script, absl::StrCat("--threads=", threads)};
  char* const argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  pid_t process = 0;
  const int error = posix_spawnp(&process, python.c_str(), &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(to_child[0]);
  close(from_child[1]);
  if (error != 0) {
    close(to_child[1]);
    close(from_child[0]);
    return absl::UnavailableError(absl::StrCat("cannot start ", python, ": ", std::strerror(error)));
  }
  std::unique_ptr<EagerPeer> peer(new EagerPeer(process, fdopen(to_child[1], "w"), fdopen(from_child[0], "r")));
  EVENKEEL_ASSIGN_OR_RETURN(const YamlNode hello, peer->Ask(R"({"op": "hello"})"));
  peer->name_ = absl::StrCat("PyTorch ", Text(hello, "torch"), ", ", Text(hello, "threads"), " threads");
  return peer;
}

EagerPeer::EagerPeer(int process, FILE* requests, FILE* answers)
    : process_(process), requests_(requests), answers_(answers) {}

EagerPeer::~EagerPeer() {
  fclose(requests_);
  fclose(answers_);
  waitpid(process_, nullptr, 0);
}

absl::StatusOr<YamlNode> EagerPeer::Ask(const std::string& request) {
  std::fprintf(requests_, "%s\n", request.c_str());
  std::fflush(requests_);
  char* line = nullptr;
  size_t capacity = 0;
  const ssize_t length = getline(&line, &capacity, answers_);
  const std::string json = length > 0 ? std::string(line, length) : "";
  std::free(line);
  if (length <= 0) return absl::UnavailableError("the eager peer has ended");
  absl::StatusOr<YamlNode> answer = config::ParseYaml(json, "the eager peer");
  if (!answer.ok() || answer->kind != YamlNode::Kind::kMap) {
    return absl::InternalError(absl::StrCat("the eager peer says ", json));
  }
  const std::string error = Text(*answer, "error");
  if (!error.empty()) return absl::InvalidArgumentError(error);
  return answer;
}

absl::Status EagerPeer::Prepare(const routing::RouteSpec& spec, routing::DType dtype, int64_t rows) {
  const char* const name = dtype == routing::DType::kF32 ? "f32" : "bf16";
  return Ask(absl::StrFormat(R"({"op": "prepare", "rows": %d, "dtype": "%s", "spec": %s})", rows, name, JsonOf(spec)))
      .status();
}

absl::StatusOr<EagerPeer::Times> EagerPeer::Turn(double seconds) {
  EVENKEEL_ASSIGN_OR_RETURN(const YamlNode answer, Ask(absl::StrFormat(R"({"op": "turn", "seconds": %g})", seconds)));
  Times times;
  EVENKEEL_ASSIGN_OR_RETURN(times.route_seconds, Seconds(answer, "route_seconds"));
  EVENKEEL_ASSIGN_OR_RETURN(times.count_seconds, Seconds(answer, "count_seconds"));
  return times;
}

}  // namespace evenkeel::benchmarks
