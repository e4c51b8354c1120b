#include "tests/gpu_check/benchmark/eager_gpu_peer.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status_macros.h"

namespace evenkeel::benchmarks {
namespace {

using routing::DType;
using routing::RouteSpec;

// PyTorch takes its time to be imported, and to find the GPU.
constexpr absl::Duration kPatience = absl::Minutes(2);

// By the names of the protocol; the enumerators in their order.
constexpr absl::string_view kScores[] = {"SIGMOID", "SOFTMAX", "SQRT_SOFTPLUS", "LOGIT"};
constexpr absl::string_view kWeights[] = {"SCORE", "SOFTMAX", "SOFTMAX_OF_SELECTED", "SIGMOID_OF_SELECTED"};

std::string JsonOf(const RouteSpec& spec) {
  return absl::StrFormat(
      R"({"num_experts": %d, "top_k": %d, "score": "%s", "weight": "%s", "num_groups": %d, "top_groups": %d, )"
      R"("normalize": %s, "normalize_epsilon": %g, "scale": %g})",
      spec.num_experts, spec.top_k, kScores[static_cast<int>(spec.score)], kWeights[static_cast<int>(spec.weight)],
      spec.num_groups, spec.top_groups, spec.normalize ? "true" : "false", spec.normalize_epsilon, spec.scale);
}

// The value of a field of a flat object as Python's json writes it; a string without its quotes, and with its escapes.
// Empty if there is none.
std::string Text(absl::string_view json, absl::string_view field) {
  const size_t at = json.find(absl::StrCat("\"", field, "\": "));
  if (at == absl::string_view::npos) return "";
  absl::string_view value = json.substr(at + field.size() + 4);
  if (!absl::ConsumePrefix(&value, "\"")) return std::string(value.substr(0, value.find_first_of(",}")));
  size_t end = 0;
  while (end < value.size() && value[end] != '"') end += value[end] == '\\' ? 2 : 1;
  return std::string(value.substr(0, end));
}

absl::StatusOr<double> Seconds(absl::string_view json, absl::string_view field) {
  double seconds;
  if (absl::SimpleAtod(Text(json, field), &seconds) && seconds > 0) return seconds;
  return absl::UnavailableError(absl::StrCat("eager PyTorch says no ", field, ": ", json));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EagerGpuPeer>> EagerGpuPeer::Start(const std::string& python,
                                                                  const std::string& script) {
  EVENKEEL_ASSIGN_OR_RETURN(auto child, LineChild::Start({python, "-c", script, "--device=cuda"}));
  std::unique_ptr<EagerGpuPeer> peer(new EagerGpuPeer(std::move(child)));
  const absl::StatusOr<std::string> hello = peer->Ask(R"({"op": "hello"})");
  if (!hello.ok()) return absl::UnavailableError(hello.status().message());
  peer->name_ = absl::StrCat("PyTorch ", Text(*hello, "torch"), " on ", Text(*hello, "device"));
  return peer;
}

EagerGpuPeer::EagerGpuPeer(std::unique_ptr<LineChild> child) : child_(std::move(child)) {}

absl::StatusOr<std::string> EagerGpuPeer::Ask(const std::string& request) {
  EVENKEEL_ASSIGN_OR_RETURN(std::string answer, child_->Ask(request, kPatience));
  if (!absl::StartsWith(answer, "{")) return absl::UnavailableError(absl::StrCat("eager PyTorch says ", answer));
  const std::string error = Text(answer, "error");
  if (!error.empty()) return absl::InvalidArgumentError(error);
  return answer;
}

absl::StatusOr<EagerGpuPeer::Times> EagerGpuPeer::Measure(const RouteSpec& spec, DType dtype, int64_t rows,
                                                          double seconds) {
  const char* const name = dtype == DType::kF32 ? "f32" : "bf16";
  EVENKEEL_RETURN_IF_ERROR(
      Ask(absl::StrFormat(R"({"op": "prepare", "rows": %d, "dtype": "%s", "spec": %s})", rows, name, JsonOf(spec)))
          .status());
  EVENKEEL_ASSIGN_OR_RETURN(const std::string turn, Ask(absl::StrFormat(R"({"op": "turn", "seconds": %g})", seconds)));
  Times times;
  EVENKEEL_ASSIGN_OR_RETURN(times.route_seconds, Seconds(turn, "route_seconds"));
  EVENKEEL_ASSIGN_OR_RETURN(times.count_seconds, Seconds(turn, "count_seconds"));
  const absl::StatusOr<std::string> graph = Ask(absl::StrFormat(R"({"op": "graph", "seconds": %g})", seconds));
  if (absl::IsInvalidArgument(graph.status())) {
    times.graph_error = std::string(graph.status().message());
    return times;
  }
  EVENKEEL_RETURN_IF_ERROR(graph.status());
  EVENKEEL_ASSIGN_OR_RETURN(times.graph_seconds, Seconds(*graph, "seconds"));
  return times;
}

}  // namespace evenkeel::benchmarks
