#include "tools/route_command.h"

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "kernels/balance/load_metrics.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/reference/reference_router.h"
#include "tools/flags.h"
#include "tools/npy/npy.h"
#include "tools/router_files.h"

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
  RouterFiles files;
  std::string out;
  std::string device = "cpu";
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  const Flag flags[] = {
      {"spec", &options->files.spec},
      {"model", &options->files.model},
      {"layer", &options->files.layer},
      {"logits", &options->files.logits, /*is_required=*/true},
      {"bias", &options->files.bias},
      {"valid", &options->files.valid},
      {"out", &options->out, /*is_required=*/true},
      {"device", &options->device},
      {"json", &options->json},
  };
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  EVENKEEL_RETURN_IF_ERROR(CheckRouterFiles(options->files));
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
  EVENKEEL_ASSIGN_OR_RETURN(const RouterRows rows, ReadRouterFiles(options.files));
  const routing::RouteSpec& spec = rows.spec;
  const bool is_reference = options.device == "reference";
  Routed routed;
  routed.layer = rows.layer;
  routed.path = std::string(is_reference ? "reference" : routing::CpuRoutePath(spec));
  routed.tokens = rows.tokens();
  routed.num_experts = spec.num_experts;
  routed.top_k = spec.top_k;
  routed.ids.resize(rows.tokens() * spec.top_k);
  routed.weights.resize(rows.tokens() * spec.top_k);
  routed.counts.resize(spec.num_experts);

  routing::RouteOutput output;
  output.ids = routed.ids.data();
  output.ids_stride = spec.top_k;
  output.weights = routed.weights.data();
  output.weights_stride = spec.top_k;
  output.counts = routed.counts.data();
  EVENKEEL_RETURN_IF_ERROR(
      (is_reference ? routing::RouteReference : routing::RouteCpu)(spec, rows.Input(), output, &routed.stats));
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
