#include "tests/benchmarks/route_cases.h"

#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "adapters/hf/model_routing.h"
#include "base/status_macros.h"
#include "config/route_spec.h"

namespace evenkeel::benchmarks {
namespace {

using routing::RouteSpec;

RouteSpec Sigmoid(int experts, int top_k, int groups, float scale) {
  RouteSpec spec;
  spec.num_experts = experts;
  spec.top_k = top_k;
  spec.num_groups = groups;
  spec.top_groups = groups / 2;
  spec.normalize = true;
  spec.normalize_epsilon = 1e-20f;
  spec.scale = scale;
  return spec;
}

// By logits.
RouteSpec Softmax(int experts, int top_k, routing::Weight weight) {
  RouteSpec spec;
  spec.num_experts = experts;
  spec.top_k = top_k;
  spec.score = routing::Score::kLogit;
  spec.weight = weight;
  return spec;
}

constexpr auto kOfSelected = routing::Weight::kSoftmaxOfSelected;
constexpr auto kOfAll = routing::Weight::kSoftmax;

std::vector<RouteCase> Models() {
  return {
      {"Qwen3-30B-A3B", Softmax(128, 8, kOfSelected)},
      {"Qwen3.5-35B-A3B", Softmax(256, 8, kOfSelected)},
      {"OLMoE", Softmax(64, 8, kOfAll)},
      {"Mixtral", Softmax(8, 2, kOfSelected)},
      {"DeepSeek-V3", Sigmoid(256, 8, 8, 2.5f)},
      {"Kimi-K2", Sigmoid(384, 8, 0, 2.827f)},
  };
}

absl::StatusOr<std::vector<RouteCase>> CasesOfConfig(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const hf::ModelRouting model, hf::ReadModelConfigFile(path));
  std::vector<RouteCase> cases;
  std::set<std::string> seen;
  for (const hf::Decoder& decoder : model.decoders) {
    for (const hf::MoeLayer& layer : decoder.moe_layers) {
      if (!seen.insert(config::RouteSpecToProto(layer.spec).SerializeAsString()).second) continue;
      cases.push_back({absl::StrCat(decoder.model_type, ":", layer.name), layer.spec});
    }
  }
  if (cases.empty()) return absl::InvalidArgumentError(absl::StrCat(path, " has no layer that routes"));
  return cases;
}

}  // namespace

std::vector<RouteCase> ShapeCases() {
  std::vector<RouteCase> cases;
  for (const int experts : {64, 128, 256, 384, 512}) {
    cases.push_back({"sigmoid_groups", Sigmoid(experts, 8, 8, 2.5f)});
    cases.push_back({"sigmoid", Sigmoid(experts, 8, 0, 2.5f)});
    cases.push_back({"softmax", Softmax(experts, 8, kOfSelected)});
  }
  return cases;
}

absl::StatusOr<std::vector<RouteCase>> ModelCases(const std::string& model) {
  const std::vector<RouteCase> models = Models();
  if (model == "all") return models;
  for (const RouteCase& known : models) {
    if (known.name == model) return std::vector<RouteCase>{known};
  }
  if (absl::EndsWith(model, ".json")) return CasesOfConfig(model);
  const auto name = [](std::string* out, const RouteCase& known) { out->append(known.name); };
  return absl::InvalidArgumentError(absl::StrCat("--model is \"", model, "\"; it must be all, ",
                                                 absl::StrJoin(models, ", ", name), ", or the path of a config.json"));
}

}  // namespace evenkeel::benchmarks
