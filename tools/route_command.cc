#include "tools/route_command.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "config/route_spec.h"
#include "config/text.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "kernels/balance/load_metrics.h"
#include "kernels/routing/reference_router.h"
#include "tools/flags.h"
#include "tools/npy/npy.h"
#include "tools/npy/npy_check.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel route: which experts the tokens of a logits file choose, with which weights.

  evenkeel route --spec SPEC --logits X.npy --out PREFIX
                 [--bias B.npy] [--valid M.npy] [--device DEVICE] [--json]

  --spec SPEC      the router, as a RouteSpec in JSON or YAML
  --logits X.npy   float32 or float16 [tokens, experts]: the gate's output
  --bias B.npy     float32 [experts]: added to the scores for selection only; absent: 0
  --valid M.npy    bool [tokens]: true routes and counts the token; absent: all
  --out PREFIX     where the results go:
                     PREFIX.ids.npy      int32 [tokens, top_k], best first; -1 where a token has no expert
                     PREFIX.weights.npy  float32 [tokens, top_k]
                     PREFIX.counts.npy   int64 [experts]
                   All three are written, or, after an error, none.
  --device DEVICE  reference, cpu or cuda; absent: cpu. In this build cpu runs the reference router too (the same
                   results, not the fastest way to them), and cuda is not there.
  --model CONFIG   a Hugging Face config.json in place of --spec; not in this build.
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
  std::string logits;
  std::string bias;
  std::string valid;
  std::string out;
  std::string device = "cpu";
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  const Flag flags[] = {
      {"spec", &options->spec},     {"model", &options->model}, {"logits", &options->logits, /*is_required=*/true},
      {"bias", &options->bias},     {"valid", &options->valid}, {"out", &options->out, /*is_required=*/true},
      {"device", &options->device}, {"json", &options->json},
  };
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  if (options->spec.empty() == options->model.empty()) {
    return absl::InvalidArgumentError("give one of --spec and --model");
  }
  if (options->device != "reference" && options->device != "cpu" && options->device != "cuda") {
    return absl::InvalidArgumentError(
        absl::StrCat("--device: \"", options->device, "\" is none of reference, cpu, cuda"));
  }
  return absl::OkStatus();
}

absl::Status CheckBuilt(const Options& options) {
  if (!options.model.empty()) {
    return absl::UnimplementedError(absl::StrCat("--model ", options.model,
                                                 ": this build does not read Hugging Face configs; write the router "
                                                 "down as a RouteSpec and give it by --spec"));
  }
  if (options.device == "cuda") {
    return absl::UnimplementedError("--device cuda: this build has no CUDA router; use cpu or reference");
  }
  return absl::OkStatus();
}

absl::StatusOr<routing::RouteSpec> ReadSpec(const std::string& path) {
  v1::RouteSpec message;
  EVENKEEL_RETURN_IF_ERROR(config::ParseFile(path, &message));
  absl::StatusOr<routing::RouteSpec> spec = config::RouteSpecFromProto(message);
  if (spec.ok()) return spec;
  return absl::Status(spec.status().code(), absl::StrCat(path, ": ", spec.status().message()));
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
  int64_t tokens = 0;
  int num_experts = 0;
  int top_k = 0;
  std::vector<int32_t> ids;    // [tokens, top_k]
  std::vector<float> weights;  // [tokens, top_k]
  std::vector<uint64_t> counts;
  routing::RouteStats stats;
};

absl::StatusOr<Routed> Route(const Options& options) {
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec spec, ReadSpec(options.spec));
  EVENKEEL_ASSIGN_OR_RETURN(const NpyArray logits, ReadNpy(options.logits));
  EVENKEEL_RETURN_IF_ERROR(CheckType(options.logits, logits, {NpyType::kFloat32, NpyType::kFloat16}));
  EVENKEEL_RETURN_IF_ERROR(
      CheckShape(options.logits, logits, {{"tokens", kAnySize}, {"num_experts", spec.num_experts}}));
  const int64_t tokens = logits.shape()[0];
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<NpyArray> bias,
                            ReadOptional(options.bias, NpyType::kFloat32, "num_experts", spec.num_experts));
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<NpyArray> valid,
                            ReadOptional(options.valid, NpyType::kBool, "tokens", tokens));

  Routed routed;
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
  EVENKEEL_RETURN_IF_ERROR(routing::RouteReference(spec, input, output, &routed.stats));
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
        "{\"tokens\": %d, \"valid_tokens\": %d, \"num_experts\": %d, \"top_k\": %d, \"short_slots\": %d, "
        "\"max_violation\": %.17g, \"dead_experts\": %d}\n",
        routed.tokens, routed.stats.valid_rows, routed.num_experts, routed.top_k, routed.stats.short_slots,
        load.max_violation, load.dead);
  }
  return absl::StrFormat(
      "%d tokens (%d valid), top %d of %d experts: max violation %.3f, %d dead experts, %d short slots\n"
      "%s.ids.npy, %s.weights.npy and %s.counts.npy are written\n",
      routed.tokens, routed.stats.valid_rows, routed.top_k, routed.num_experts, load.max_violation, load.dead,
      routed.stats.short_slots, options.out, options.out, options.out);
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
