#include "tools/top_experts_command.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/json_text.h"
#include "base/status_macros.h"
#include "tools/coordinator_call.h"
#include "tools/flags.h"
#include "tools/load_rows.h"
#include "tools/state_call.h"
#include "tools/top_experts.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp = R"(evenkeel top-experts: the fullest experts of a running job, or the emptiest.

  evenkeel top-experts --job NAME [--layer NAME] [--count N] [--cold] [--json]
                       [--coordinator HOST:PORT] [--timeout SECONDS]

  --job NAME               a job of the coordinator
  --layer NAME             of this layer alone; absent: of all layers
  --count N                how many; absent: 10
  --cold                   the emptiest first, not the fullest
  --json                   for scripts: {"job", "epoch", "step", "experts": [{"layer", "stream", "expert", "load",
                           "tokens", "bias"}]}
  --coordinator HOST:PORT  absent: 127.0.0.1:7411
  --timeout SECONDS        how long to wait for the answer; absent: 5
  --tls-ca, --tls-cert, --tls-key, --tls-name, --token-file  see 'evenkeel token --help'

All is of the last committed step. tokens: how many of the step's tokens went to the expert. load: that over what it
should have had, so that 1 is even, 2 is twice its share and 0 is none. bias: what is added to its scores from then on; an
expert that is too full has one that goes down. Experts that are not to be balanced (a negative target) are left out.

One step is a sample: an expert that is at the top of a layer once is chance, one that stays there is not. See
'evenkeel watch' for all of them over time.

Example:

  evenkeel top-experts --job pretrain-7b
  evenkeel top-experts --job pretrain-7b --cold --count 50
  evenkeel top-experts --job pretrain-7b --layer model.layers.3.mlp.gate --json
)";

struct Options {
  CoordinatorOptions coordinator;
  std::string job;
  std::string layer;
  std::optional<int> count;
  bool cold = false;
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  std::vector<Flag> flags = FlagsOf(&options->coordinator);
  const Flag own[] = {
      {"job", &options->job, /*is_required=*/true},
      {"layer", &options->layer},
      {"count", &options->count},
      {"cold", &options->cold},
      {"json", &options->json},
  };
  flags.insert(flags.end(), std::begin(own), std::end(own));
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  if (options->count.value_or(1) < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--count: ", *options->count, " is not at least 1"));
  }
  return CheckCoordinator(options->coordinator);
}

absl::Status KeepLayer(const std::string& layer, std::vector<LoadRow>* rows) {
  rows->erase(std::remove_if(rows->begin(), rows->end(), [&](const LoadRow& row) { return row.layer != layer; }),
              rows->end());
  if (!rows->empty()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("--layer: the job has no layer \"", absl::Utf8SafeCEscape(layer),
                                          "\"; 'evenkeel status --job NAME --layers all' lists them"));
}

std::string Title(const Options& options, const v1::JobState& state, size_t shown) {
  const std::string where = options.layer.empty() ? absl::StrCat(state.layers_size(), " layers")
                                                  : absl::StrCat("layer ", absl::Utf8SafeCEscape(options.layer));
  return absl::StrCat("job ", absl::Utf8SafeCEscape(state.spec().name()), ", step ", state.version().step(), ": the ",
                      shown, " ", options.cold ? "emptiest" : "fullest", " experts of ", where, "\n");
}

absl::Status Show(const Options& options, Streams streams) {
  CoordinatorCaller caller(options.coordinator);
  EVENKEEL_ASSIGN_OR_RETURN(const v1::JobState state, CallForState(&caller, options.job));
  EVENKEEL_ASSIGN_OR_RETURN(std::vector<LoadRow> rows, LoadRowsOf(state));
  if (!options.layer.empty()) EVENKEEL_RETURN_IF_ERROR(KeepLayer(options.layer, &rows));
  const std::vector<RankedExpert> experts = TopExperts(rows, options.count.value_or(10), options.cold);
  if (options.json) {
    streams.out << "{\"job\": " << JsonString(state.spec().name()) << ", \"epoch\": " << state.version().epoch()
                << ", \"step\": " << state.version().step() << ", \"experts\": " << TopExpertsJson(experts) << "}\n";
  } else if (experts.empty()) {
    streams.out << "nothing was counted in step " << state.version().step() << "\n";
  } else {
    streams.out << Title(options, state, experts.size()) << ShowTopExperts(experts);
  }
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("top-experts", usage, streams.err);
  return Finish("top-experts", Show(options, streams), streams.err);
}

}  // namespace

const Command kTopExpertsCommand = {"top-experts", "the fullest experts of a running job, or the emptiest", kHelp, Run};

}  // namespace evenkeel::tools
