#include "tests/benchmarks/eager_peer.h"

#include <utility>

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
  EVENKEEL_ASSIGN_OR_RETURN(auto child, LineChild::Start({python, script, absl::StrCat("--threads=", threads)}));
  std::unique_ptr<EagerPeer> peer(new EagerPeer(std::move(child)));
  EVENKEEL_ASSIGN_OR_RETURN(const YamlNode hello, peer->Ask(R"({"op": "hello"})"));
  peer->name_ = absl::StrCat("PyTorch ", Text(hello, "torch"), ", ", Text(hello, "threads"), " threads");
  return peer;
}

EagerPeer::EagerPeer(std::unique_ptr<LineChild> child) : child_(std::move(child)) {}

absl::StatusOr<YamlNode> EagerPeer::Ask(const std::string& request) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string json, child_->Ask(request));
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
