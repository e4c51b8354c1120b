#include "tools/export_command.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/json_text.h"
#include "base/status_macros.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/job_plan.h"
#include "job/snapshot.h"
#include "kernels/balance/gauge.h"
#include "tools/bias_tensors.h"
#include "tools/coordinator_call.h"
#include "tools/durable_file.h"
#include "tools/flags.h"
#include "tools/state_file.h"
#include "tools/table.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel export: the state of a job into a file, whole or as the bias tensors of other software.

  evenkeel export --job NAME [--coordinator HOST:PORT] | --state BLOB
                  --out FILE
                  [--scheme SCHEME | --names PATTERN | --model CONFIG] [--offset OFFSET]
                  [--timeout SECONDS] [--json]

  --job NAME               a job of a running coordinator: its state after the last committed step
  --coordinator HOST:PORT  absent: 127.0.0.1:7411
  --timeout SECONDS        how long to wait for it; absent: 5
  --tls-ca, --tls-cert, --tls-key, --tls-name, --token-file  see 'evenkeel token --help'
  --state BLOB             a state that was exported before, instead
  --out FILE               replaced whole, or, after an error, left as it was

Without a naming, FILE is a state blob: everything there is to a job (bias, EMA, step, position in the schedule, config,
layers), with a checksum. 'evenkeel import --like' and '--state' here take it.

With one, FILE is a .safetensors file of the biases alone, float32, in C order, for other software to load:

  --scheme SCHEME    the names that a trainer uses, by the number in each layer's name:
                       hf              model.layers.3.mlp.gate.e_score_correction_bias
                       megatron        decoder.layers.3.mlp.router.expert_bias
                       torchtitan      layers.3.moe.expert_bias_E
                       olmo            blocks.3.feed_forward_moe.router.score_bias
                       hyper_parallel  model.layers.3.moe.expert_bias
                       axolotl         model.layers.3.mlp._afb_bias, and _afb_ema where the rule is FREQUENCY
  --names PATTERN    any other, with {} for the number: model.layers.{}.block_sparse_moe.e_score_correction_bias
  --model CONFIG     a Hugging Face config.json: the names and shapes of that family's checkpoints, which differ
  --offset OFFSET    none (the default): the bias as it is, with a mean of about 0
                     positive: the same number is added to all experts of a layer, so that the smallest bias is 1/1024,
                     for software that gives the experts of dropped groups a score of 0. It changes no selection
                     otherwise; 'evenkeel check-selection' counts. Refused for a layer whose bias is on the logits,
                     which no number makes positive.

A layer whose bias is 0 for all experts is exported with a warning: it has never moved.

Example:

  evenkeel export --job pretrain-7b --out pretrain-7b.evenkeel
  evenkeel export --state pretrain-7b.evenkeel --scheme megatron --out bias.safetensors
  evenkeel export --state pretrain-7b.evenkeel --model config.json --offset positive --out bias.safetensors
)";

struct Options {
  CoordinatorOptions coordinator;
  std::string job;
  std::string state;
  std::string out;
  NamingOptions naming;
  std::string offset = "none";
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  std::vector<Flag> flags = FlagsOf(&options->coordinator);
  const Flag own[] = {
      {"job", &options->job},
      {"state", &options->state},
      {"out", &options->out, /*is_required=*/true},
      {"scheme", &options->naming.scheme},
      {"names", &options->naming.names},
      {"model", &options->naming.model},
      {"offset", &options->offset},
      {"json", &options->json},
  };
  flags.insert(flags.end(), std::begin(own), std::end(own));
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  if (options->job.empty() == options->state.empty()) {
    return absl::InvalidArgumentError("give one of --job (of a running coordinator) and --state");
  }
  EVENKEEL_RETURN_IF_ERROR(CheckCoordinator(options->coordinator));
  if (options->naming.any()) EVENKEEL_RETURN_IF_ERROR(CheckNaming(options->naming));
  if (!options->naming.any() && absl::EndsWith(options->out, ".safetensors")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--out: \"", options->out, "\" would hold a state blob; for tensors give --scheme, --names or --model"));
  }
  if (options->offset != "none" && options->offset != "positive") {
    return absl::InvalidArgumentError(absl::StrCat("--offset: \"", options->offset, "\" is none of none, positive"));
  }
  if (options->offset != "none" && !options->naming.any()) {
    return absl::InvalidArgumentError("--offset is of tensors: give --scheme, --names or --model");
  }
  return absl::OkStatus();
}

absl::StatusOr<job::SnapshotStates> ReadStates(const Options& options) {
  if (!options.state.empty()) return ReadStateFile(options.state);
  v1::GetStateRequest request;
  request.set_job(options.job);
  v1::GetStateResponse response;
  EVENKEEL_RETURN_IF_ERROR(
      CoordinatorCaller(options.coordinator).Call(&v1::BiasCoordinator::Stub::GetState, request, &response));
  return job::OpenSnapshot(response.snapshot());
}

// A layer as it is written. For a blob there are no tensors.
struct ExportedLayer {
  const v1::LayerSpec* spec;
  BiasTensor tensor;
  std::vector<float> bias;  // all streams
  std::vector<float> ema;   // likewise, or empty: not written
  double offset = 0;        // the largest of the streams

  float Least() const { return *std::min_element(bias.begin(), bias.end()); }
  float Largest() const { return *std::max_element(bias.begin(), bias.end()); }
};

absl::Status CheckScoresArePositive(const v1::LayerSpec& layer) {
  if (layer.route().score() != v1::RouteSpec::Score::LOGIT) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--offset positive: layer ", QuotedName(layer.name()),
                   " has its bias on the logits, which may be below any number; no offset makes them positive"));
}

// The layers of the state, one entry for all streams of each.
std::vector<ExportedLayer> LayersOf(const v1::JobState& state) {
  std::vector<ExportedLayer> layers;
  for (const v1::LayerState& layer : state.layers()) {
    if (layer.stream() == 0) layers.push_back({&state.spec().layers(static_cast<int>(layers.size())), {}, {}, {}});
    layers.back().bias.insert(layers.back().bias.end(), layer.bias().begin(), layer.bias().end());
    layers.back().ema.insert(layers.back().ema.end(), layer.ema().begin(), layer.ema().end());
  }
  return layers;
}

absl::Status NameTensors(const Options& options, const v1::JobState& state, std::vector<ExportedLayer>* layers) {
  EVENKEEL_ASSIGN_OR_RETURN(std::vector<BiasTensor> tensors, TensorsToWrite(options.naming, state.spec()));
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanStoredJob(state.spec(), state.fingerprint()));
  for (size_t i = 0; i < layers->size(); ++i) {
    ExportedLayer& layer = (*layers)[i];
    layer.tensor = std::move(tensors[i]);
    // The EMA of the other rules is not of shares.
    const int row = plan.layers.Find(layer.spec->name());
    if (plan.balance[row].rule != balance::Rule::kFrequency) layer.tensor.names.ema.clear();
    if (layer.tensor.names.ema.empty()) layer.ema.clear();
  }
  return absl::OkStatus();
}

// Each stream is a selection of its own.
absl::Status MakePositive(std::vector<ExportedLayer>* layers) {
  for (ExportedLayer& layer : *layers) {
    EVENKEEL_RETURN_IF_ERROR(CheckScoresArePositive(*layer.spec));
    const size_t experts = layer.spec->num_experts();
    for (size_t begin = 0; begin < layer.bias.size(); begin += experts) {
      const absl::Span<float> stream = absl::MakeSpan(layer.bias).subspan(begin, experts);
      const double offset = balance::PositiveOffset(stream);
      const std::vector<float> shifted = balance::Shifted(stream, offset);
      std::copy(shifted.begin(), shifted.end(), stream.begin());
      layer.offset = std::max(layer.offset, offset);
    }
  }
  return absl::OkStatus();
}

absl::string_view BytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

absl::Status WriteTensors(const Options& options, const v1::JobState& state, const std::vector<ExportedLayer>& layers) {
  std::vector<SafetensorsTensor> tensors;
  std::string data;
  for (const ExportedLayer& layer : layers) {
    tensors.push_back({layer.tensor.names.bias, {}, layer.tensor.shape});
    absl::StrAppend(&data, BytesOf(layer.bias));
    if (layer.ema.empty()) continue;
    tensors.push_back({layer.tensor.names.ema, {}, layer.tensor.shape});
    absl::StrAppend(&data, BytesOf(layer.ema));
  }
  // transformers loads no file without "format".
  const std::map<std::string, std::string> metadata = {
      {"format", "pt"},
      {"evenkeel.job", state.spec().name()},
      {"evenkeel.epoch", absl::StrCat(state.version().epoch())},
      {"evenkeel.step", absl::StrCat(state.version().step())},
      {"evenkeel.offset", options.offset},
  };
  return WriteDurably(options.out, {FormatSafetensorsHeader(tensors, metadata), data});
}

std::vector<std::string> Warnings(const std::vector<ExportedLayer>& layers) {
  std::vector<std::string> warnings;
  for (const ExportedLayer& layer : layers) {
    if (layer.Least() != 0 || layer.Largest() != 0) continue;
    warnings.push_back(
        absl::StrCat("layer ", QuotedName(layer.spec->name()), ": the bias is 0 for all experts; it has never moved"));
  }
  return warnings;
}

std::string LayerJson(const ExportedLayer& layer) {
  const auto whole = [](int64_t value) { return absl::StrCat(value); };
  const auto name = [](const std::string& name) { return name.empty() ? std::string("null") : JsonString(name); };
  return absl::StrCat("\n  {\"layer\": ", JsonString(layer.spec->name()),
                      ", \"tensor\": ", name(layer.tensor.names.bias),
                      ", \"ema_tensor\": ", name(layer.tensor.names.ema),
                      ", \"shape\": ", JsonList(layer.tensor.shape, whole), ", \"offset\": ", JsonNumber(layer.offset),
                      ", \"least\": ", JsonNumber(layer.Least()), ", \"largest\": ", JsonNumber(layer.Largest()), "}");
}

std::string SummaryJson(const Options& options, const v1::JobState& state, const std::vector<ExportedLayer>& layers,
                        const std::vector<std::string>& warnings) {
  return absl::StrCat("{\"job\": ", JsonString(state.spec().name()), ", \"epoch\": ", state.version().epoch(),
                      ", \"step\": ", state.version().step(), ", \"out\": ", JsonString(options.out),
                      ", \"format\": ", options.naming.any() ? "\"safetensors\"" : "\"state\"",
                      ", \"offset\": ", JsonString(options.offset), ", \"warnings\": ", JsonList(warnings, JsonString),
                      ", \"layers\": ", JsonList(layers, LayerJson), "}\n");
}

std::string Summary(const Options& options, const v1::JobState& state, const std::vector<ExportedLayer>& layers) {
  std::string text;
  if (options.naming.any()) {
    Table table({{"TENSOR", Table::Align::kLeft}, {"SHAPE"}, {"OFFSET"}, {"LEAST"}, {"LARGEST"}});
    for (const ExportedLayer& layer : layers) {
      table.AddRow({layer.tensor.names.bias, SafetensorsShapeText(layer.tensor.shape),
                    absl::StrFormat("%.4g", layer.offset), absl::StrFormat("%.4g", layer.Least()),
                    absl::StrFormat("%.4g", layer.Largest())});
    }
    text = table.Text();
  }
  return absl::StrFormat("%s%d layers of job %s after step %d are in %s%s\n", text, layers.size(), state.spec().name(),
                         state.version().step(), options.out,
                         options.naming.any() ? absl::StrCat(", named by ", NamingText(options.naming)) : "");
}

absl::Status Export(const Options& options, Streams streams) {
  EVENKEEL_ASSIGN_OR_RETURN(const job::SnapshotStates states, ReadStates(options));
  const v1::JobState& state = states.state;
  std::vector<ExportedLayer> layers = LayersOf(state);
  const std::vector<std::string> warnings = Warnings(layers);
  if (options.naming.any()) {
    EVENKEEL_RETURN_IF_ERROR(NameTensors(options, state, &layers));
    if (options.offset == "positive") EVENKEEL_RETURN_IF_ERROR(MakePositive(&layers));
    EVENKEEL_RETURN_IF_ERROR(WriteTensors(options, state, layers));
  } else {
    EVENKEEL_RETURN_IF_ERROR(WriteDurably(options.out, {job::EncodeSnapshot(state, states.earlier)}));
  }
  for (const std::string& warning : warnings) streams.err << "evenkeel export: warning: " << warning << "\n";
  streams.out << (options.json ? SummaryJson(options, state, layers, warnings) : Summary(options, state, layers));
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("export", usage, streams.err);
  return Finish("export", Export(options, streams), streams.err);
}

}  // namespace

const Command kExportCommand = {"export", "the state of a job into a file, or its biases for other software", kHelp,
                                Run};

}  // namespace evenkeel::tools
