#include "tools/route_command.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "adapters/hf/model_routing.h"
#include "base/status_macros.h"
#include "config/route_spec.h"
#include "config/text.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "kernels/balance/load_metrics.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/reference/reference_router.h"
#include "tools/flags.h"
#include "tools/model_layer.h"
#include "tools/npy/npy.h"
#include "tools/npy/npy_check.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel route: which experts the tokens of a logits file choose, with which weights.

  evenkeel route --spec SPEC | --model CONFIG [--layer LAYER]
                 --logits X.npy --out PREFIX
                 [--bias B.npy] [--valid M.npy] [--device DEVICE] [--json]

  --spec SPEC      the router, as a RouteSpec in JSON or YAML
  --model CONFIG   the router, as a Hugging Face config.json; 'evenkeel describe-model' shows what it says
  --layer LAYER    which layer of that model: a router's name, such as model.layers.3.mlp.gate, or the index of its
                   decoder layer; absent: any, if all route alike
  --logits X.npy   float32 or float16 [tokens, experts]: the gate's output
  --bias B.npy     float32 [experts]: added to the scores for selection only; absent: 0
  --valid M.npy    bool [tokens]: true routes and counts the token; absent: all
  --out PREFIX     where the results go:
                     PREFIX.ids.npy      int32 [tokens, top_k], best first; -1 where a token has no expert
                     PREFIX.weights.npy  float32 [tokens, top_k]
                     PREFIX.counts.npy   int64 [experts]
                   All three are written, or, after an error, none.
  --device DEVICE  reference, cpu or cuda; absent: cpu, which takes the best instructions that this machine has and
                   says which. All give the same bits. There is no cuda in this build.
  --json           print the summary as JSON

Example:

  echo '{"num_experts": 8, "top_k": 2, "score": "SIGMOID", "normalize": true}' > spec.json
  python3 -c 'import numpy; numpy.save("x.npy", numpy.random.randn(16, 8).astype("f4"))'
  evenkeel route --spec spec.json --logits x.npy --out routed
  python3 -c 'import numpy; print(numpy.load("routed.ids.npy"))'
)";

struct Options {
  std::string spec;
  std::string model;
  std::string layer;
  std::string logits;
  std::string bias;
  std::string valid;
  std::string out;
  std::string device = "cpu";
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  const Flag flags[] = {
      {"spec", &options->spec},
      {"model", &options->model},
      {"layer", &options->layer},
      {"logits", &options->logits, /*is_required=*/true},
      {"bias", &options->bias},
      {"valid", &options->valid},
      {"out", &options->out, /*is_required=*/true},
      {"device", &options->device},
      {"json", &options->json},
  };
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  if (options->spec.empty() == options->model.empty()) {
    return absl::InvalidArgumentError("give one of --spec and --model");
  }
  if (!options->layer.empty() && options->model.empty()) {
    return absl::InvalidArgumentError("--layer is of a --model");
  }
  if (options->device != "reference" && options->device != "cpu" && options->device != "cuda") {
    return absl::InvalidArgumentError(
        absl::StrCat("--device: \"", options->device, "\" is none of reference, cpu, cuda"));
  }
  return absl::OkStatus();
}

absl::Status CheckBuilt(const Options& options) {
  if (options.device == "cuda") {
    return absl::UnimplementedError("--device cuda: this build has no CUDA router; use cpu or reference");
  }
  return absl::OkStatus();
}

absl::Status In(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// A router and, where a model has it, what it is called there.
struct Router {
  routing::RouteSpec spec;
  std::string layer;
};

absl::StatusOr<Router> ReadRouter(const Options& options) {
  if (options.model.empty()) {
    v1::RouteSpec message;
    EVENKEEL_RETURN_IF_ERROR(config::ParseFile(options.spec, &message));
    const absl::StatusOr<routing::RouteSpec> spec = config::RouteSpecFromProto(message);
    if (!spec.ok()) return In(options.spec, spec.status());
    return Router{*spec, ""};
  }
  EVENKEEL_ASSIGN_OR_RETURN(const hf::ModelRouting model, hf::ReadModelConfigFile(options.model));
  const absl::StatusOr<const hf::MoeLayer*> layer = ChooseLayer(model, options.layer);
  if (!layer.ok()) return In(options.model, layer.status());
  return Router{(*layer)->spec, (*layer)->name};
}

// An optional input: nothing without a path.
absl::StatusOr<std::optional<NpyArray>> ReadOptional(const std::string& path, NpyType type, absl::string_view axis,
                                                     int64_t size) {
  if (path.empty()) return std::nullopt;
  EVENKEEL_ASSIGN_OR_RETURN(NpyArray array, ReadNpy(path));
  EVENKEEL_RETURN_IF_ERROR(CheckType(path, array, {type}));
  EVENKEEL_RETURN_IF_ERROR(CheckShape(path, array, {{axis, size}}));
  return array;
}

struct Routed {
  std::string layer;  // empty: of no model
  std::string path;   // of the router: "reference", or a SIMD target
  int64_t tokens = 0;
  int num_experts = 0;
  int top_k = 0;
  std::vector<int32_t> ids;    // [tokens, top_k]
  std::vector<float> weights;  // [tokens, top_k]
  std::vector<uint64_t> counts;
  routing::RouteStats stats;
};

absl::StatusOr<Routed> Route(const Options& options) {
  EVENKEEL_ASSIGN_OR_RETURN(const Router router, ReadRouter(options));
  const routing::RouteSpec& spec = router.spec;
  EVENKEEL_ASSIGN_OR_RETURN(const NpyArray logits, ReadNpy(options.logits));
  EVENKEEL_RETURN_IF_ERROR(CheckType(options.logits, logits, {NpyType::kFloat32, NpyType::kFloat16}));
  EVENKEEL_RETURN_IF_ERROR(
      CheckShape(options.logits, logits, {{"tokens", kAnySize}, {"num_experts", spec.num_experts}}));
  const int64_t tokens = logits.shape()[0];
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<NpyArray> bias,
                            ReadOptional(options.bias, NpyType::kFloat32, "num_experts", spec.num_experts));
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<NpyArray> valid,
                            ReadOptional(options.valid, NpyType::kBool, "tokens", tokens));

  const bool is_reference = options.device == "reference";
  Routed routed;
  routed.layer = router.layer;
  routed.path = std::string(is_reference ? "reference" : routing::CpuRoutePath(spec));
  routed.tokens = tokens;
  routed.num_experts = spec.num_experts;
  routed.top_k = spec.top_k;
  routed.ids.resize(tokens * spec.top_k);
  routed.weights.resize(tokens * spec.top_k);
  routed.counts.resize(spec.num_experts);

  routing::RouteInput input;
  input.logits = logits.data();
  input.logits_dtype = logits.type() == NpyType::kFloat16 ? routing::DType::kF16 : routing::DType::kF32;
  input.rows = tokens;
  input.logits_stride = spec.num_experts;
  if (bias.has_value()) input.bias = bias->values<float>().data();
  if (valid.has_value()) input.valid_mask = valid->values<uint8_t>().data();
  routing::RouteOutput output;
  output.ids = routed.ids.data();
  output.ids_stride = spec.top_k;
  output.weights = routed.weights.data();
  output.weights_stride = spec.top_k;
  output.counts = routed.counts.data();
  EVENKEEL_RETURN_IF_ERROR(
      (is_reference ? routing::RouteReference : routing::RouteCpu)(spec, input, output, &routed.stats));
  return routed;
}

absl::Status Write(const Routed& routed, const std::string& prefix) {
  const std::vector<int64_t> slots = {routed.tokens, routed.top_k};
  // A count is at most the number of tokens: it is the same bytes as int64.
  return WriteNpy({
      {prefix + ".ids.npy", NpyType::kInt32, slots, routed.ids.data()},
      {prefix + ".weights.npy", NpyType::kFloat32, slots, routed.weights.data()},
      {prefix + ".counts.npy", NpyType::kInt64, {routed.num_experts}, routed.counts.data()},
  });
}

std::string Summary(const Routed& routed, const Options& options) {
  const balance::LoadMetrics load = balance::ComputeLoadMetrics(routed.counts);
  if (options.json) {
    return absl::StrFormat(
        "{\"path\": \"%s\", \"layer\": \"%s\", \"tokens\": %d, \"valid_tokens\": %d, \"num_experts\": %d, \"top_k\": "
        "%d, "
        "\"short_slots\": %d, \"max_violation\": %.17g, \"dead_experts\": %d}\n",
        routed.path, routed.layer, routed.tokens, routed.stats.valid_rows, routed.num_experts, routed.top_k,
        routed.stats.short_slots, load.max_violation, load.dead);
  }
  return absl::StrFormat(
      "%s%d tokens (%d valid), top %d of %d experts: max violation %.3f, %d dead experts, %d short slots\n"
      "%s.ids.npy, %s.weights.npy and %s.counts.npy are written; the path was %s\n",
      routed.layer.empty() ? "" : absl::StrCat(routed.layer, ": "), routed.tokens, routed.stats.valid_rows,
      routed.top_k, routed.num_experts, load.max_violation, load.dead, routed.stats.short_slots, options.out,
      options.out, options.out, routed.path);
}

absl::Status RouteFiles(const Options& options, std::ostream& out) {
  EVENKEEL_RETURN_IF_ERROR(CheckBuilt(options));
  EVENKEEL_ASSIGN_OR_RETURN(const Routed routed, Route(options));
  EVENKEEL_RETURN_IF_ERROR(Write(routed, options.out));
  out << Summary(routed, options);
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("route", usage, streams.err);
  return Finish("route", RouteFiles(options, streams.out), streams.err);
}

}  // namespace

const Command kRouteCommand = {"route", "which experts the tokens of a logits file choose", kHelp, Run};

}  // namespace evenkeel::tools
