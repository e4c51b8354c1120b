#include "tools/describe_model_command.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "adapters/hf/model_routing.h"
#include "base/status_macros.h"
#include "tools/flags.h"
#include "tools/model_view.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel describe-model: the layers and routers of a Hugging Face config.json.

  evenkeel describe-model CONFIG [--json]

  CONFIG  a config.json, as it lies beside a model's weights
  --json  all of it as JSON: every layer by name, with its spec, which 'evenkeel route --spec' takes

What it shows of the layers, one line for all that route alike:
  experts      how many the router chooses from; "512 + 256": the last 256 are counted and not balanced
  bias on      the bias space, that is, what a balancing bias is added to: SIGMOID, SOFTMAX or SQRT_SOFTPLUS scores,
               or the LOGIT itself. What a rate and a cap mean hangs on it.
  weights      what the weights are made of; never of the bias
  groups kept  of how many groups, by which score; and what becomes of the experts of the others
  divided by   what normalises the weights
  scaled by    what multiplies them; "of the output": the model scales what the experts give instead

and of the names, for all layers at once:
  router               the module's path in the model, which is also the layer's name for the coordinator
  bias                 the tensor of the family's own correction bias, in the model
  bias in checkpoints  the same in the released files, with its shape

A model_type that is not known, or that a RouteSpec cannot express, is an error that says why.

Example:

  echo '{"model_type": "olmoe", "num_hidden_layers": 16, "num_experts": 64, "num_experts_per_tok": 8}' > config.json
  evenkeel describe-model config.json
  evenkeel describe-model config.json --json
)";

struct Options {
  std::string config;
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  std::vector<std::string> flags;
  for (const std::string& arg : args) {
    if (options->config.empty() && !absl::StartsWith(arg, "-")) {
      options->config = arg;
    } else {
      flags.push_back(arg);
    }
  }
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(flags, {{"json", &options->json}}));
  if (options->config.empty()) return absl::InvalidArgumentError("name a config.json");
  return absl::OkStatus();
}

absl::Status Describe(const Options& options, std::ostream& out) {
  EVENKEEL_ASSIGN_OR_RETURN(const hf::ModelRouting model, hf::ReadModelConfigFile(options.config));
  out << (options.json ? ModelJson(model) : ShowModel(model));
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("describe-model", usage, streams.err);
  return Finish("describe-model", Describe(options, streams.out), streams.err);
}

}  // namespace

const Command kDescribeModelCommand = {"describe-model", "the layers and routers of a Hugging Face config.json", kHelp,
                                       Run};

}  // namespace evenkeel::tools
