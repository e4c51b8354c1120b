#include "tools/import_command.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/json_text.h"
#include "base/status_macros.h"
#include "config/text.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "evenkeel/v1/job.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/snapshot.h"
#include "job/zero_bias.h"
#include "tools/bias_import.h"
#include "tools/coordinator_call.h"
#include "tools/durable_file.h"
#include "tools/flags.h"
#include "tools/state_file.h"
#include "tools/table.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel import: a state, or the bias tensors of other software, into a file or into a running coordinator.

  evenkeel import --tensors PATH --scheme SCHEME | --names PATTERN | --model CONFIG
                  --spec JOB | --like BLOB
                  --out BLOB | --job NAME [--coordinator HOST:PORT]
                  [--step N] [--allow-half] [--allow-zero-bias] [--timeout SECONDS] [--json]
  evenkeel import --state BLOB --job NAME [--coordinator HOST:PORT]
                  [--allow-zero-bias] [--timeout SECONDS] [--json]

  --tensors PATH   a .safetensors file, or a folder with the shards of a checkpoint; of other tensors only the names are
                   read
  --scheme SCHEME  the names that a trainer uses, in all its spellings: hf, megatron, torchtitan, olmo, hyper_parallel,
                   axolotl. A layer of the job is the tensor with the same number in its name. 'evenkeel export --help'
                   shows the names.
  --names PATTERN  any other, with {} for the number: model.layers.{}.block_sparse_moe.e_score_correction_bias
  --model CONFIG   a Hugging Face config.json: the names of that family
  --spec JOB       the job, as a JobSpec in JSON or YAML: its name, layers, balance config and contributors
  --like BLOB      the job of a state that was exported; its bias is replaced, and its step and position are kept
  --step N         the optimizer step after which the tensors were saved, all steps taken as successful; absent: 0, or
                   that of --like
  --state BLOB     a state that 'evenkeel export' or a worker's checkpoint has, instead of tensors
  --out BLOB       the state, replaced whole, or, after an error, left as it was
  --job NAME       instead: puts it into that job of a running coordinator, in a new epoch, or makes the job. Its layers
                   must be the state's; its config stays. Whoever trains is to be stopped before, and to resume at the
                   step after the state's: what was routed with the bias of before is refused.
  --coordinator HOST:PORT, --timeout SECONDS
                   absent: 127.0.0.1:7411, and 5
  --tls-ca, --tls-cert, --tls-key, --tls-name, --token-file  see 'evenkeel token --help'
  --allow-zero-bias
                   take a state in which a layer that its rule has moved has a bias of 0: as a rule it was not saved
  --allow-half     take tensors of BF16 and F16 too. A bias near 7 has 8 values between 6.8 and 7.1 in BF16: whoever
                   wrote it so has lost what told the experts apart. Evenkeel itself keeps, and writes, float32.

What the state has is the bias of each layer, less its mean (in float64, rounded once; a number that all experts share
changes no selection), and with --scheme axolotl the EMA, if the job's rule is FREQUENCY as axolotl's is: a run goes on
where it was. Nothing else is known of the past: no pending counts, no last step.

A layer without a tensor, with several, or with one of another shape is an error that names it. What deserves a look is a
warning: a bias that is the same for all experts, one beyond the config's cap, a tensor that no layer has.

Example:

  cat > job.yaml <<END
  name: finetune
  contributors: 8
  layers:
  - {name: model.layers.0.mlp.gate, num_experts: 64, top_k: 6}
  - {name: model.layers.1.mlp.gate, num_experts: 64, top_k: 6}
  END
  evenkeel import --tensors ./checkpoint --scheme hf --spec job.yaml --out finetune.evenkeel
  evenkeel export --state finetune.evenkeel --scheme torchtitan --out bias.safetensors
)";

struct Options {
  std::string tensors;
  NamingOptions naming;
  std::string spec;
  std::string like;
  std::string state;
  std::string out;
  std::string job;
  CoordinatorOptions coordinator;
  std::optional<int> step;
  bool allow_zero_bias = false;
  bool allow_half = false;
  bool json = false;
};

// A state is whole: nothing is said of it but where it goes.
absl::Status CheckState(const Options& options) {
  const bool alone = !options.naming.any() && options.spec.empty() && options.like.empty() &&
                     !options.step.has_value() && !options.allow_half;
  if (!alone) {
    return absl::InvalidArgumentError(
        "--state: --scheme, --names, --model, --spec, --like, --step and --allow-half are of --tensors");
  }
  if (options.job.empty()) return absl::InvalidArgumentError("--state: give --job; the state is a file already");
  return absl::OkStatus();
}

absl::Status ReadOptions(Args args, Options* options) {
  std::vector<Flag> flags = FlagsOf(&options->coordinator);
  const Flag own[] = {
      {"tensors", &options->tensors},
      {"state", &options->state},
      {"scheme", &options->naming.scheme},
      {"names", &options->naming.names},
      {"model", &options->naming.model},
      {"spec", &options->spec},
      {"like", &options->like},
      {"step", &options->step},
      {"out", &options->out},
      {"job", &options->job},
      {"allow-zero-bias", &options->allow_zero_bias},
      {"allow-half", &options->allow_half},
      {"json", &options->json},
  };
  flags.insert(flags.end(), std::begin(own), std::end(own));
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  EVENKEEL_RETURN_IF_ERROR(CheckCoordinator(options->coordinator));
  if (options->tensors.empty() == options->state.empty()) {
    return absl::InvalidArgumentError("give one of --tensors and --state");
  }
  if (options->out.empty() == options->job.empty()) {
    return absl::InvalidArgumentError("give one of --out (a file) and --job (of a running coordinator)");
  }
  if (!options->state.empty()) return CheckState(*options);
  EVENKEEL_RETURN_IF_ERROR(CheckNaming(options->naming));
  if (options->spec.empty() == options->like.empty()) {
    return absl::InvalidArgumentError("give one of --spec and --like");
  }
  if (options->step.value_or(0) < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--step: ", *options->step, " is below 0"));
  }
  return absl::OkStatus();
}

absl::Status In(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// A job and its state before the import.
struct Job {
  job::JobPlan plan;
  v1::JobState state;
};

absl::StatusOr<Job> ReadSpec(const std::string& path) {
  v1::JobSpec spec;
  EVENKEEL_RETURN_IF_ERROR(config::ParseFile(path, &spec));
  absl::StatusOr<job::JobPlan> plan = job::PlanJob(spec, v1::BalanceConfig(), job::NoLimits());
  if (!plan.ok()) return In(path, plan.status());
  v1::JobState state = job::ToProto(*plan, job::InitialJobState(*plan));
  return Job{*std::move(plan), std::move(state)};
}

absl::StatusOr<Job> ReadLike(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const job::SnapshotStates states, ReadStateFile(path));
  const v1::JobState& like = states.state;
  absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(like.spec(), like.fingerprint());
  if (!plan.ok()) return In(path, plan.status());
  v1::JobState state = job::ToProto(*plan, job::InitialJobState(*plan));
  *state.mutable_version() = like.version();
  state.set_position(like.position());
  return Job{*std::move(plan), std::move(state)};
}

std::string LayerJson(const ImportedLayer& layer) {
  return absl::StrCat("\n  {\"layer\": ", JsonString(layer.layer), ", \"stream\": ", layer.stream,
                      ", \"tensor\": ", JsonString(layer.tensor),
                      ", \"ema_tensor\": ", layer.ema_tensor.empty() ? "null" : JsonString(layer.ema_tensor),
                      ", \"dtype\": ", JsonString(layer.type), ", \"mean\": ", JsonNumber(layer.mean),
                      ", \"least\": ", JsonNumber(layer.least), ", \"largest\": ", JsonNumber(layer.largest), "}");
}

std::string SummaryJson(const Options& options, const v1::JobState& state, const BiasImport& import) {
  return absl::StrCat("{\"job\": ", JsonString(state.spec().name()), ", \"step\": ", state.version().step(),
                      ", \"out\": ", options.out.empty() ? "null" : JsonString(options.out),
                      ", \"coordinator\": ", options.job.empty() ? "null" : JsonString(options.coordinator.address),
                      ", \"warnings\": ", JsonList(import.warnings, JsonString),
                      ", \"layers\": ", JsonList(import.layers, LayerJson), "}\n");
}

std::string Summary(const Options& options, const v1::JobState& state, const BiasImport& import) {
  Table table({{"LAYER", Table::Align::kLeft},
               {"TENSOR", Table::Align::kLeft},
               {"DTYPE"},
               {"MEAN"},
               {"LEAST"},
               {"LARGEST"},
               {"EMA"}});
  for (const ImportedLayer& layer : import.layers) {
    table.AddRow({layer.stream == 0 ? layer.layer : absl::StrCat(layer.layer, " stream ", layer.stream), layer.tensor,
                  layer.type, absl::StrFormat("%.4g", layer.mean), absl::StrFormat("%.4g", layer.least),
                  absl::StrFormat("%.4g", layer.largest), layer.ema_tensor.empty() ? "-" : "yes"});
  }
  if (!options.job.empty()) return table.Text();
  return absl::StrFormat("%sthe state of job %s at step %d is in %s\n", table.Text(), state.spec().name(),
                         state.version().step(), options.out);
}

absl::Status CheckZeroBias(const Options& options, const v1::JobState& state) {
  if (options.allow_zero_bias) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanStoredJob(state.spec(), state.fingerprint()));
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobState plain, job::FromProto(plan, state));
  const std::vector<v1::Violation> violations = job::FindZeroBias(plan, plain);
  if (violations.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(violations.front().message(),
                   violations.size() > 1 ? absl::StrCat(" (and ", violations.size() - 1, " more)") : "",
                   "; --allow-zero-bias takes it as it is"));
}

// Into the job of the coordinator. Says where it is now.
absl::StatusOr<std::string> Put(const Options& options, const v1::Snapshot& snapshot) {
  v1::PutStateRequest request;
  request.set_job(options.job);
  *request.mutable_snapshot() = snapshot;
  v1::PutStateResponse response;
  EVENKEEL_RETURN_IF_ERROR(
      CoordinatorCaller(options.coordinator).Call(&v1::BiasCoordinator::Stub::PutState, request, &response));
  return absl::StrCat("job ", options.job, " at ", options.coordinator.address, " is at step ",
                      response.version().step(), ", in epoch ", response.epoch(), "; resume at step ",
                      response.version().step() + 1, "\n");
}

absl::Status ImportState(const Options& options, Streams streams) {
  EVENKEEL_ASSIGN_OR_RETURN(const job::SnapshotStates states, ReadStateFile(options.state));
  const absl::Status zero = CheckZeroBias(options, states.state);
  if (!zero.ok()) return In(options.state, zero);
  EVENKEEL_ASSIGN_OR_RETURN(const std::string where, Put(options, job::MakeSnapshot(states.state, states.earlier)));
  streams.out << (options.json ? SummaryJson(options, states.state, BiasImport()) : where);
  return absl::OkStatus();
}

absl::Status Import(const Options& options, Streams streams) {
  if (!options.state.empty()) return ImportState(options, streams);
  EVENKEEL_ASSIGN_OR_RETURN(Job job, options.like.empty() ? ReadSpec(options.spec) : ReadLike(options.like));
  EVENKEEL_ASSIGN_OR_RETURN(const SafetensorsSet tensors, SafetensorsSet::Open(options.tensors));
  EVENKEEL_ASSIGN_OR_RETURN(const BiasImport import,
                            ImportBiases(job.plan, options.naming, tensors, options.allow_half, &job.state));
  if (options.step.has_value()) {
    job.state.mutable_version()->set_step(*options.step);
    job.state.set_position(*options.step);
  }
  EVENKEEL_RETURN_IF_ERROR(CheckZeroBias(options, job.state));
  std::string where;
  if (options.job.empty()) {
    EVENKEEL_RETURN_IF_ERROR(WriteDurably(options.out, {job::EncodeSnapshot(job.state)}));
  } else {
    EVENKEEL_ASSIGN_OR_RETURN(where, Put(options, job::MakeSnapshot(job.state)));
  }
  for (const std::string& warning : import.warnings) {
    streams.err << "evenkeel import: warning: " << warning << "\n";
  }
  streams.out << (options.json ? SummaryJson(options, job.state, import)
                               : absl::StrCat(Summary(options, job.state, import), where));
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("import", usage, streams.err);
  return Finish("import", Import(options, streams), streams.err);
}

}  // namespace

const Command kImportCommand = {"import", "a state, or the biases of other software, into a file or a coordinator",
                                kHelp, Run};

}  // namespace evenkeel::tools
