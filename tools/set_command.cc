#include "tools/set_command.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/message_json.h"
#include "base/status_macros.h"
#include "config/text.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "tools/config_view.h"
#include "tools/coordinator_call.h"
#include "tools/flags.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel set: changes how a running job is balanced, and waits for its contributors, from a step on.

  evenkeel set --job NAME [--coordinator HOST:PORT] [--from-step N] [--note TEXT] [--json] [--timeout SECONDS]
               [--rate X] [--balance JSON] [--freeze | --unfreeze] [--layer NAME ...]
               [--missing POLICY] [--membership JSON] [--undo] [--resume]

  --job NAME               a job of the coordinator
  --coordinator HOST:PORT  absent: 127.0.0.1:7411
  --from-step N            first step that the change holds for; absent: the step that is open
  --rate X                 the rate, at least 0
  --balance JSON           fields of a BalanceConfig, in JSON or YAML; "preset" replaces all other fields first
  --freeze, --unfreeze     no bias moves, though counting goes on; and it moves again
  --layer NAME             what is given above is for this layer alone; may be given more than once
  --missing POLICY         what a step does without a contributor that is lost, late or gone: WAIT, FAIL or
                           COMMIT_WITHOUT (doc/protocol.md)
  --membership JSON        how long it waits for whom: fields of a Membership, in milliseconds; 0 is never
  --undo                   takes the newest change back: drops it where it is still to come, else goes back, from
                           --from-step on, to what was before it
  --resume                 lets the layers of a job move again that stands still because an invariant was violated
  --note TEXT              who, or why: kept with the change and shown by 'evenkeel status --job NAME'
  --json                   the answer as JSON, for scripts: an UpdateConfigResponse
  --timeout SECONDS        how long to wait for the answer; absent: 5
  --tls-ca, --tls-cert, --tls-key, --tls-name, --token-file  see 'evenkeel token --help'

The change is the same for all workers, on disk before this command ends, and part of what a replay of the record
follows. Fields that are not given stay as they were to be at that step. Giving the same change again changes nothing.
A layer whose rule changes begins its moving average anew; schedules go on at the job's position.

Example:

  evenkeel set --job pretrain-7b --rate 0.001 --from-step 14300000 --note "cool down"
  evenkeel set --job pretrain-7b --balance '{"schedule": {"kind": "TO_ZERO", "begin": 15000000}}'
  evenkeel set --job pretrain-7b --layer model.layers.3.mlp.gate --freeze
  evenkeel set --job pretrain-7b --freeze
  evenkeel set --job pretrain-7b --membership '{"step_deadline_ms": 1800000}' --note "somebody debugs"
  evenkeel set --job pretrain-7b --undo
)";

struct Options {
  CoordinatorOptions coordinator;
  std::string job;
  std::optional<int> from_step;
  std::optional<double> rate;
  std::string balance;
  std::string missing;
  std::string membership;
  std::vector<std::string> layers;
  bool freeze = false;
  bool unfreeze = false;
  bool undo = false;
  bool resume = false;
  std::string note;
  bool json = false;

  bool changes_balance() const { return rate.has_value() || !balance.empty(); }
  bool changes_layers() const { return changes_balance() || freeze || unfreeze; }
  bool changes() const { return changes_layers() || !missing.empty() || !membership.empty(); }
};

absl::Status CheckOptions(const Options& options) {
  if (options.from_step.value_or(1) < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--from-step: ", *options.from_step, " is not at least 1"));
  }
  if (options.freeze && options.unfreeze) return absl::InvalidArgumentError("give one of --freeze and --unfreeze");
  if (options.undo && options.changes()) {
    return absl::InvalidArgumentError(
        "--undo takes a change back; --rate, --balance, --freeze, --unfreeze, --missing and --membership make one");
  }
  if (!options.layers.empty() && !options.changes_layers()) {
    return absl::InvalidArgumentError(
        "--layer says what --rate, --balance, --freeze or --unfreeze is for; none is there");
  }
  if (!options.changes() && !options.undo && !options.resume) {
    return absl::InvalidArgumentError(
        "nothing to do; give --rate, --balance, --freeze, --unfreeze, --missing, --membership, --undo or --resume");
  }
  return CheckCoordinator(options.coordinator);
}

absl::Status ReadBalance(const Options& options, v1::BalanceConfig* balance) {
  if (!options.balance.empty()) {
    EVENKEEL_RETURN_IF_ERROR(config::ParseText(options.balance, "--balance", balance));
  }
  if (!options.rate.has_value()) return absl::OkStatus();
  if (balance->has_rate()) return absl::InvalidArgumentError("--rate: --balance has a rate too");
  balance->set_rate(*options.rate);
  return absl::OkStatus();
}

absl::Status ReadMembership(const Options& options, v1::UpdateConfigRequest* request) {
  if (!options.membership.empty()) {
    EVENKEEL_RETURN_IF_ERROR(config::ParseText(options.membership, "--membership", request->mutable_membership()));
  }
  if (options.missing.empty()) return absl::OkStatus();
  v1::JobSpec::MissingPolicy::Kind policy = v1::JobSpec::MissingPolicy::KIND_UNSPECIFIED;
  if (!v1::JobSpec::MissingPolicy::Kind_Parse(options.missing, &policy) ||
      policy == v1::JobSpec::MissingPolicy::KIND_UNSPECIFIED) {
    return absl::InvalidArgumentError(
        absl::StrCat("--missing: ", options.missing, " is none of WAIT, FAIL and COMMIT_WITHOUT"));
  }
  request->set_missing_policy(policy);
  return absl::OkStatus();
}

absl::Status ReadOptions(Args args, Options* options, v1::UpdateConfigRequest* request) {
  std::vector<Flag> flags = FlagsOf(&options->coordinator);
  const Flag own[] = {
      {"job", &options->job, /*is_required=*/true},
      {"from-step", &options->from_step},
      {"rate", &options->rate},
      {"balance", &options->balance},
      {"missing", &options->missing},
      {"membership", &options->membership},
      {"layer", &options->layers},
      {"freeze", &options->freeze},
      {"unfreeze", &options->unfreeze},
      {"undo", &options->undo},
      {"resume", &options->resume},
      {"note", &options->note},
      {"json", &options->json},
  };
  flags.insert(flags.end(), std::begin(own), std::end(own));
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  EVENKEEL_RETURN_IF_ERROR(CheckOptions(*options));
  request->set_job(options->job);
  request->set_from_step(options->from_step.value_or(0));
  request->set_undo(options->undo);
  request->set_resume(options->resume);
  request->set_note(options->note);
  EVENKEEL_RETURN_IF_ERROR(ReadMembership(*options, request));
  v1::BalanceConfig balance;
  EVENKEEL_RETURN_IF_ERROR(ReadBalance(*options, &balance));
  if (options->layers.empty()) {
    if (options->changes_balance()) *request->mutable_balance() = balance;
    if (options->freeze) request->set_mode(v1::JobSpec::Mode::FROZEN);
    if (options->unfreeze) request->set_mode(v1::JobSpec::Mode::BALANCE);
    return absl::OkStatus();
  }
  if (options->freeze || options->unfreeze) balance.set_frozen(options->freeze);
  for (const std::string& name : options->layers) {
    v1::LayerOverride* layer = request->add_overrides();
    layer->set_layer(name);
    *layer->mutable_balance() = balance;
  }
  return absl::OkStatus();
}

// The list of changes, held against the step that is open now.
absl::StatusOr<std::string> Summary(CoordinatorCaller* caller, const v1::UpdateConfigResponse& response) {
  v1::DescribeJobRequest request;
  request.set_job(response.effective().name());
  v1::DescribeJobResponse job;
  EVENKEEL_RETURN_IF_ERROR(caller->Call(&v1::BiasCoordinator::Stub::DescribeJob, request, &job));
  const uint64_t open_step = job.summary().open_step();
  return absl::StrCat("job ", absl::Utf8SafeCEscape(request.job()), ", step ", open_step, " is open:\n",
                      ShowChanges(job.changes(), open_step), job.has_halt() ? ShowHalt(request.job(), job.halt()) : "");
}

absl::StatusOr<std::string> Set(const Options& options, const v1::UpdateConfigRequest& request) {
  CoordinatorCaller caller(options.coordinator);
  v1::UpdateConfigResponse response;
  EVENKEEL_RETURN_IF_ERROR(caller.Call(&v1::BiasCoordinator::Stub::UpdateConfig, request, &response));
  return options.json ? MessageJson(response) : Summary(&caller, response);
}

int Run(Args args, Streams streams) {
  Options options;
  v1::UpdateConfigRequest request;
  const absl::Status usage = ReadOptions(args, &options, &request);
  if (!usage.ok()) return RefuseUsage("set", usage, streams.err);
  const absl::StatusOr<std::string> text = Set(options, request);
  if (text.ok()) streams.out << *text;
  return Finish("set", text.status(), streams.err);
}

}  // namespace

const Command kSetCommand = {"set", "changes how a running job is balanced, from a step on", kHelp, Run};

}  // namespace evenkeel::tools
