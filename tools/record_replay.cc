#include "tools/record_replay.h"

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "server/recorder/folder.h"
#include "tools/npy/npy.h"
#include "tools/record_view.h"

namespace evenkeel::tools {
namespace {

using recorder::FolderReplay;
using recorder::Replayer;

absl::StatusOr<std::vector<std::string>> FoldersOf(const RecordOptions& options) {
  if (!options.job.empty())
    return std::vector<std::string>{absl::StrCat(options.record, "/", recorder::FolderName(options.job))};
  EVENKEEL_ASSIGN_OR_RETURN(std::vector<std::string> folders, recorder::ListFolders(options.record));
  if (folders.empty()) return absl::NotFoundError(absl::StrCat(options.record, ": no job is recorded here"));
  if (folders.size() > 1 && !options.out.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out is of one job, and ", folders.size(), " are recorded here; name one by --job"));
  }
  return folders;
}

// The bias after each step of the range, ascending: of a step that the job went back over, the last.
class Biases {
 public:
  void Add(const Replayer& replayer) {
    const job::JobState& state = *replayer.state();
    const uint64_t step = state.version.step();
    // Back to before the first: it begins anew there.
    if (rows_ > 0 && step < first_) *this = Biases();
    if (rows_ == 0) {
      layers_ = static_cast<int64_t>(state.layers.size());
      experts_ = static_cast<int64_t>(state.layers[0].balance.bias.size());
      first_ = step;
    }
    const auto row = static_cast<int64_t>(step - first_);
    has_gap_ = has_gap_ || row > rows_;
    rows_ = row + 1;
    bias_.resize(has_gap_ ? 0 : row * layers_ * experts_);
    for (const job::JobState::Layer& layer : state.layers) {
      is_even_ = is_even_ && static_cast<int64_t>(layer.balance.bias.size()) == experts_;
      bias_.insert(bias_.end(), layer.balance.bias.begin(), layer.balance.bias.end());
    }
  }

  absl::Status Write(const std::string& path) const {
    if (!is_even_) {
      return absl::InvalidArgumentError("--out is for jobs whose layers have the same number of experts");
    }
    if (has_gap_) return absl::FailedPreconditionError("--out: steps are missing; take a range without a gap");
    return WriteNpy({{path, NpyType::kFloat32, {rows_, layers_, experts_}, bias_.data()}});
  }

 private:
  std::vector<float> bias_;
  int64_t rows_ = 0;
  int64_t layers_ = 0;
  int64_t experts_ = 0;
  uint64_t first_ = 0;
  bool is_even_ = true;
  bool has_gap_ = false;
};

// Every few seconds, how far a replay is.
class Progress {
 public:
  explicit Progress(std::ostream& out) : out_(out) {}

  void Show(size_t file, size_t files) {
    if (absl::Now() < next_) return;
    next_ = absl::Now() + absl::Seconds(2);
    out_ << "evenkeel replay: file " << file + 1 << " of " << files << "\n";
  }

 private:
  std::ostream& out_;
  absl::Time next_ = absl::Now() + absl::Seconds(2);
};

}  // namespace

absl::Status ReplayRecord(const RecordOptions& options, Streams streams) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<std::string> folders, FoldersOf(options));
  Progress progress(streams.err);
  Biases biases;
  recorder::ReplayListener listener;
  listener.file = [&](size_t file, size_t files) { progress.Show(file, files); };
  if (!options.out.empty()) listener.step = [&](const Replayer& replayer) { biases.Add(replayer); };
  std::vector<FolderReplay> replays;
  bool is_sound = true;
  for (const std::string& folder : folders) {
    EVENKEEL_ASSIGN_OR_RETURN(FolderReplay replay, recorder::ReplayFolder(folder, options.range, listener));
    is_sound = is_sound && IsSound(replay);
    if (!options.json) streams.out << ShowReplay(replay);
    replays.push_back(std::move(replay));
  }
  if (options.json) streams.out << ReplayJson(replays);
  if (!options.out.empty()) {
    if (replays[0].steps == 0) return absl::NotFoundError("--out: no step of the range is in the record");
    EVENKEEL_RETURN_IF_ERROR(biases.Write(options.out));
  }
  if (is_sound) return absl::OkStatus();
  return absl::FailedPreconditionError("run and record differ, or a file is damaged");
}

}  // namespace evenkeel::tools
