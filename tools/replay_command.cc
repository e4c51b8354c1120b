#include "tools/replay_command.h"

#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "config/balance_config.h"
#include "config/text.h"
#include "evenkeel/v1/balance_config.pb.h"
#include "kernels/balance/load_metrics.h"
#include "kernels/balance/update.h"
#include "tools/flags.h"
#include "tools/npy/npy.h"
#include "tools/npy/npy_check.h"
#include "tools/record_replay.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel replay: the bias after every step of a record, bit for bit as a coordinator computes it.

  evenkeel replay --record DIR [--job NAME] [--from-step A] [--to-step B] [--out B.npy] [--json]
  evenkeel replay --config BALANCE --counts C.npy --out B.npy [--top-k K]

The record of a coordinator (evenkeeld --record DIR) is replayed by the code that committed it, and held against the
hashes that it wrote down. What comes out: how many steps were replayed and that all are equal, or the first step and
layer where run and record differ; steps that are not in the record; restarts, rewinds and config changes on the way.
The exit code is 0 where all is equal, 1 where something differs or a file is damaged, 2 for a wrong command line. A
last event that is not whole, as a crash leaves it, is told and is no error.

  evenkeel replay --record /var/lib/evenkeel/record --job pretrain-7b

  --record DIR      the record's folder
  --job NAME        one job of it; absent: all
  --from-step A     the first step to tell of; absent: the first there is. What is recorded before is not read, but for
                    the end of the file that it begins in
  --to-step B       the last; absent: the last there is
  --out B.npy       float32 [steps, layers, experts]: the bias after each step of one job whose layers have one size
  --json            for scripts: {"jobs": [{"job", "steps", "first", "last", "equal", "difference", "notes", "damage",
                    "torn"}]}

Counts that something else has written down are replayed from a bias of 0:

  --config BALANCE  a BalanceConfig in JSON or YAML, the same for all layers; "preset" starts from a preset
  --counts C.npy    int64 [steps, layers, experts]: the assignments of each step
  --out B.npy       float32 [steps, layers, experts]: the bias after each step, from a bias of 0
  --top-k K         experts chosen for each token. Counts do not say how many tokens a step had, which min_tokens asks
                    for: with K it is the sum of the layer's counts over K, rounded up; without, that sum itself.

Every step is taken as an optimizer step that succeeded; the first has position 1 in warm-up and schedules.

Example:

  echo '{"preset": "loss_free", "rate": 0.01}' > balance.json
  python3 -c 'import numpy; numpy.save("c.npy", numpy.random.poisson(100, (50, 2, 8)).astype("i8"))'
  evenkeel replay --config balance.json --counts c.npy --out b.npy
  python3 -c 'import numpy; print(numpy.load("b.npy")[-1])'
)";

struct Options {
  RecordOptions record;
  std::optional<int> from_step;
  std::optional<int> to_step;
  std::string config;
  std::string counts;
  std::string out;
  std::optional<int> top_k;
};

absl::Status ReadRecordOptions(Options* options) {
  if (!options->config.empty() || !options->counts.empty() || options->top_k.has_value()) {
    return absl::InvalidArgumentError(
        "--record has configs and counts of its own; --config, --counts and --top-k do not");
  }
  for (const std::optional<int>& step : {options->from_step, options->to_step}) {
    if (step.value_or(1) < 1) return absl::InvalidArgumentError(absl::StrCat("step ", *step, " is not at least 1"));
  }
  if (options->from_step.value_or(1) > options->to_step.value_or(std::numeric_limits<int>::max())) {
    return absl::InvalidArgumentError(
        absl::StrCat("--to-step: ", *options->to_step, " is before --from-step ", *options->from_step));
  }
  if (options->from_step) options->record.range.from = *options->from_step;
  if (options->to_step) options->record.range.to = *options->to_step;
  options->record.out = options->out;
  return absl::OkStatus();
}

absl::Status ReadOptions(Args args, Options* options) {
  const Flag flags[] = {
      {"config", &options->config},       {"counts", &options->counts},        {"out", &options->out},
      {"top-k", &options->top_k},         {"record", &options->record.record}, {"job", &options->record.job},
      {"from-step", &options->from_step}, {"to-step", &options->to_step},      {"json", &options->record.json},
  };
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  if (!options->record.record.empty()) return ReadRecordOptions(options);
  if (options->config.empty() || options->counts.empty() || options->out.empty()) {
    return absl::InvalidArgumentError("give --record DIR, or all of --config, --counts and --out");
  }
  if (!options->record.job.empty() || options->from_step || options->to_step || options->record.json) {
    return absl::InvalidArgumentError("--job, --from-step, --to-step and --json are of --record DIR");
  }
  if (options->top_k.value_or(1) < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--top-k: ", *options->top_k, " is not at least 1"));
  }
  return absl::OkStatus();
}

absl::StatusOr<balance::BalanceConfig> ReadConfig(const std::string& path, int num_experts) {
  v1::BalanceConfig message;
  EVENKEEL_RETURN_IF_ERROR(config::ParseFile(path, &message));
  absl::StatusOr<balance::BalanceConfig> config = config::BalanceConfigFromProto(message);
  absl::Status status = config.status();
  if (status.ok()) status = balance::Validate(*config, num_experts);
  if (status.ok()) return config;
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// Counts of all steps, in order: [steps, layers, experts].
struct Record {
  NpyArray array;
  int64_t steps;
  int64_t layers;
  int num_experts;

  size_t Offset(int64_t step, int64_t layer) const { return (step * layers + layer) * num_experts; }
  absl::Span<const uint64_t> Counts(int64_t step, int64_t layer) const {
    return array.values<uint64_t>().subspan(Offset(step, layer), num_experts);
  }
};

// Counts that are not negative: as uint64 they are the same bytes.
absl::Status CheckCounts(const std::string& path, const NpyArray& array) {
  const absl::Span<const int64_t> counts = array.values<int64_t>();
  const int64_t layers = array.shape()[1];
  const int64_t experts = array.shape()[2];
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] >= 0 && static_cast<uint64_t>(counts[i]) <= balance::kMaxCountSum) continue;
    return absl::InvalidArgumentError(absl::StrFormat("%s: counts[%d, %d, %d]: %d is not between 0 and 2^48", path,
                                                      i / experts / layers, i / experts % layers, i % experts,
                                                      counts[i]));
  }
  return absl::OkStatus();
}

absl::StatusOr<Record> ReadRecord(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(NpyArray array, ReadNpy(path));
  EVENKEEL_RETURN_IF_ERROR(CheckType(path, array, {NpyType::kInt64}));
  EVENKEEL_RETURN_IF_ERROR(CheckShape(path, array, {{"steps", kAnySize}, {"layers", kAnySize}, {"experts", kAnySize}}));
  const int64_t steps = array.shape()[0];
  const int64_t layers = array.shape()[1];
  const int64_t experts = array.shape()[2];
  if (experts < 1 || experts > balance::kMaxExperts) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": shape[2]: ", experts, " experts are not between 1 and ", balance::kMaxExperts));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckCounts(path, array));
  return Record{std::move(array), steps, layers, static_cast<int>(experts)};
}

absl::Status CheckTopK(const Options& options, const Record& record) {
  if (options.top_k.value_or(1) <= record.num_experts) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--top-k: ", *options.top_k, " is more than the ", record.num_experts,
                                                 " experts of ", options.counts));
}

uint64_t Sum(absl::Span<const uint64_t> counts) { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }

struct Replayed {
  std::vector<float> bias;  // as the record
  int64_t moved = 0;        // updates of a layer
};

absl::StatusOr<Replayed> Replay(const balance::BalanceConfig& config, const Record& record, const Options& options) {
  Replayed replayed;
  replayed.bias.resize(record.array.values<uint64_t>().size());
  const auto top_k = static_cast<uint64_t>(options.top_k.value_or(1));
  for (int64_t layer = 0; layer < record.layers; ++layer) {
    balance::LayerState state = balance::InitialState(record.num_experts);
    for (int64_t step = 0; step < record.steps; ++step) {
      const absl::Span<const uint64_t> counts = record.Counts(step, layer);
      const uint64_t sum = Sum(counts);
      // What min_tokens made wait is in the state.
      if (sum + Sum(state.counts) > balance::kMaxCountSum) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "%s: counts[%d, %d, :]: %d, with %d that wait for min_tokens, are more than 2^48 in one update",
            options.counts, step, layer, sum, Sum(state.counts)));
      }
      const auto number = static_cast<uint64_t>(step) + 1;
      const uint64_t tokens = (sum + top_k - 1) / top_k;
      const balance::UpdateReason reason = balance::Update(config, {number, number}, counts, tokens, &state);
      if (reason == balance::UpdateReason::kMoved) ++replayed.moved;
      std::copy(state.bias.begin(), state.bias.end(), replayed.bias.begin() + record.Offset(step, layer));
    }
  }
  return replayed;
}

// The maximum violation of a step, as the mean over the layers.
double MaxViolation(const balance::BalanceConfig& config, const Record& record, int64_t step) {
  double sum = 0;
  for (int64_t layer = 0; layer < record.layers; ++layer) {
    sum += balance::ComputeLoadMetrics(record.Counts(step, layer), config.target).max_violation;
  }
  return sum / static_cast<double>(record.layers);
}

std::string Summary(const balance::BalanceConfig& config, const Record& record, const Replayed& replayed,
                    const std::string& out) {
  std::string text = absl::StrFormat("%d steps of %d layers with %d experts: %d updates moved a bias\n", record.steps,
                                     record.layers, record.num_experts, replayed.moved);
  if (record.steps > 0 && record.layers > 0) {
    absl::StrAppendFormat(&text, "max violation, mean over layers: %.3f at step 1, %.3f at step %d\n",
                          MaxViolation(config, record, 0), MaxViolation(config, record, record.steps - 1),
                          record.steps);
  }
  return absl::StrCat(text, out, " is written\n");
}

absl::Status ReplayFiles(const Options& options, std::ostream& out) {
  EVENKEEL_ASSIGN_OR_RETURN(const Record record, ReadRecord(options.counts));
  EVENKEEL_RETURN_IF_ERROR(CheckTopK(options, record));
  EVENKEEL_ASSIGN_OR_RETURN(const balance::BalanceConfig config, ReadConfig(options.config, record.num_experts));
  EVENKEEL_ASSIGN_OR_RETURN(const Replayed replayed, Replay(config, record, options));
  EVENKEEL_RETURN_IF_ERROR(WriteNpy(
      {{options.out, NpyType::kFloat32, {record.steps, record.layers, record.num_experts}, replayed.bias.data()}}));
  out << Summary(config, record, replayed, options.out);
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("replay", usage, streams.err);
  if (!options.record.record.empty()) return Finish("replay", ReplayRecord(options.record, streams), streams.err);
  return Finish("replay", ReplayFiles(options, streams.out), streams.err);
}

}  // namespace

const Command kReplayCommand = {"replay", "the bias after every step of a record", kHelp, Run};

}  // namespace evenkeel::tools
