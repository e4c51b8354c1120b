#include "tools/report/recorded_run.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "job/job_state.h"
#include "kernels/balance/load_metrics.h"
#include "server/core/layer_description.h"
#include "server/recorder/folder.h"
#include "server/recorder/folder_replay.h"
#include "tools/layer_names.h"
#include "tools/record_view.h"
#include "tools/report/run_timeline.h"

namespace evenkeel::tools {
namespace {

using recorder::FolderReplay;
using recorder::Replayer;

// Steps whose counts are added up for the picture of the start, and of the end.
constexpr size_t kLoadSteps = 8;
// Events that are told one by one; of the others there is a number.
constexpr size_t kMostEvents = 200;

absl::StatusOr<std::string> FolderOf(const std::string& record, const std::string& job) {
  if (!job.empty()) return absl::StrCat(record, "/", recorder::FolderName(job));
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<std::string> folders, recorder::ListFolders(record));
  if (folders.size() == 1) return folders[0];
  if (folders.empty()) return absl::NotFoundError(absl::StrCat(record, ": no job is recorded here"));
  return absl::InvalidArgumentError(
      absl::StrCat(record, ": ", folders.size(), " jobs are recorded here; name one by --job"));
}

struct StepCounts {
  uint64_t step = 0;
  // Of all rows, one after the other.
  std::vector<uint64_t> counts;
};

StepCounts CountsOf(const job::JobState& state) {
  StepCounts counts = {state.version.step(), {}};
  for (const job::JobState::Layer& layer : state.layers) {
    counts.counts.insert(counts.counts.end(), layer.last_counts.begin(), layer.last_counts.end());
  }
  return counts;
}

// The steps together, as rows of `plan`, in the order of their numbers.
RunPicture::Loads LoadsOfSteps(const std::deque<StepCounts>& steps, const job::JobPlan& plan) {
  RunPicture::Loads loads;
  if (steps.empty()) return loads;
  loads.first_step = steps.front().step;
  loads.last_step = steps.back().step;
  for (int i = 0; i < plan.layers.size(); ++i) {
    const job::LayerTable::Row& layer = plan.layers[i];
    LoadRow row;
    row.layer = layer.name;
    row.stream = layer.stream;
    row.top_k = layer.top_k;
    row.counts.resize(static_cast<size_t>(layer.num_experts));
    for (const StepCounts& step : steps) {
      for (int e = 0; e < layer.num_experts; ++e) row.counts[e] += step.counts[layer.offset + e];
    }
    row.loads = LoadsOf(row.counts, plan.balance[i].target);
    loads.rows.push_back(std::move(row));
  }
  std::stable_sort(loads.rows.begin(), loads.rows.end(),
                   [](const LoadRow& a, const LoadRow& b) { return NaturalLess(a.layer, b.layer); });
  return loads;
}

// Gathers what a report shows while a record is replayed.
class Gathering {
 public:
  void Add(const Replayer& replayer) {
    const job::JobState& state = *replayer.state();
    plan_ = replayer.plan();
    AddCounts(CountsOf(state));
    AddTimeline(state);
    AddEvents(state);
    changes_ = replayer.timeline().ToProto();
    last_ = state;
  }

  bool is_empty() const { return !last_.has_value(); }

  RunPicture Result(const FolderReplay& replay) && {
    RunPicture picture;
    Describe(&picture.description);
    timeline_.Describe(&picture.history);
    for (const job::LayerTable::Row& row : plan_.layers.rows()) {
      v1::HistoryRow* told = picture.history.add_rows();
      told->set_layer(row.name);
      told->set_stream(static_cast<uint32_t>(row.stream));
      told->set_num_experts(row.num_experts);
    }
    for (const int row : WorstRows(picture.description)) {
      RunPicture::BiasHistory bias = {row, {}};
      timeline_.DescribeBias(static_cast<size_t>(plan_.layers[row].offset),
                             static_cast<size_t>(plan_.layers[row].num_experts), &bias.history);
      picture.biases.push_back(std::move(bias));
    }
    picture.start = LoadsOfSteps(first_, plan_);
    picture.end = LoadsOfSteps(newest_, plan_);
    for (const job::JobState::Layer& layer : last_->layers) {
      picture.tokens = std::max(picture.tokens, layer.total_tokens);
    }
    AddNotes(replay);
    picture.events = std::move(events_);
    return picture;
  }

 private:
  void AddCounts(StepCounts counts) {
    const auto forget = [&](std::deque<StepCounts>* steps) {
      while (!steps->empty() && steps->back().step >= counts.step) steps->pop_back();
    };
    forget(&newest_);
    if (first_.size() < kLoadSteps || first_.back().step >= counts.step) {
      forget(&first_);
      first_.push_back(counts);
    }
    newest_.push_back(std::move(counts));
    if (newest_.size() > kLoadSteps) newest_.pop_front();
  }

  void AddTimeline(const job::JobState& state) {
    RunTimeline::Step step;
    step.step = state.version.step();
    for (size_t i = 0; i < state.layers.size(); ++i) {
      const job::JobState::Layer& layer = state.layers[i];
      const balance::LoadMetrics metrics = balance::ComputeLoadMetrics(layer.last_counts, plan_.balance[i].target);
      step.max_violation.push_back(static_cast<float>(metrics.max_violation));
      step.avg_violation.push_back(static_cast<float>(metrics.avg_violation));
      step.bias.insert(step.bias.end(), layer.balance.bias.begin(), layer.balance.bias.end());
    }
    timeline_.Add(step);
  }

  void AddEvents(const job::JobState& state) {
    const uint64_t step = state.version.step();
    if (!state.ok) AddEvent(step, absl::StrCat("step ", step, " was skipped by the trainer"));
    const int missing = plan_.effective.contributors() - static_cast<int>(state.participants.size());
    if (missing > 0) {
      AddEvent(step, absl::StrCat("step ", step, " was committed without ", missing, " of ",
                                  plan_.effective.contributors(), " contributors"));
    }
    for (const v1::Violation& violation : state.violations) {
      AddEvent(step, absl::StrCat("step ", step, " cannot be right: ", violation.message()));
    }
    const bool was_halted = last_.has_value() && last_->halt.has_value();
    if (state.halt.has_value() && !was_halted) {
      AddEvent(step, absl::StrCat("halted from step ", state.halt->step(), " on: ", state.halt->cause().message()));
    }
  }

  void AddEvent(uint64_t step, std::string text) {
    if (events_.size() < kMostEvents) {
      events_.push_back({step, std::move(text)});
    } else {
      ++untold_;
    }
  }

  void AddNotes(const FolderReplay& replay) {
    for (const Replayer::Note& note : replay.notes) events_.push_back({note.step, NoteText(note)});
    const uint64_t last = last_->version.step();
    for (const std::string& damage : replay.damage) events_.push_back({last, damage});
    for (const std::string& torn : replay.torn) events_.push_back({last, torn});
    if (replay.difference.has_value()) {
      events_.push_back({replay.difference->step,
                         absl::StrCat("run and record differ from step ", replay.difference->step,
                                      " on; 'evenkeel replay --record' says where. What follows is not shown")});
    }
    if (untold_ > 0) events_.push_back({last, absl::StrCat("and ", untold_, " more things like those above")});
    std::stable_sort(events_.begin(), events_.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  }

  void Describe(v1::DescribeJobResponse* description) const {
    const v1::JobState state = job::ToProto(plan_, *last_);
    core::DescribeLayers(plan_, state, description);
    *description->mutable_effective() = plan_.effective;
    *description->mutable_changes() = changes_;
    *description->mutable_violations() = state.violations();
    if (last_->halt.has_value()) *description->mutable_halt() = *last_->halt;
    v1::JobSummary* job = description->mutable_summary();
    job->set_name(plan_.effective.name());
    *job->mutable_version() = last_->version;
    job->set_epoch(last_->version.epoch());
    job->set_open_step(last_->version.step() + 1);
    job->set_contributors(plan_.effective.contributors());
    job->set_layers(plan_.effective.layers_size());
    job->set_experts(plan_.layers.total_experts());
    job->set_state_hash(job::StateHash(*last_));
    job->set_staleness(last_->staleness);
    double sum = 0;
    for (const v1::LayerStatus& layer : description->layers()) sum += layer.max_violation();
    job->set_max_violation(sum / std::max(1, description->layers_size()));
  }

  job::JobPlan plan_;
  std::optional<job::JobState> last_;
  google::protobuf::RepeatedPtrField<v1::ConfigChange> changes_;
  RunTimeline timeline_;
  std::deque<StepCounts> first_;
  std::deque<StepCounts> newest_;
  std::vector<RunPicture::Event> events_;
  uint64_t untold_ = 0;
};

}  // namespace

absl::StatusOr<RunPicture> ReadRecordedRun(const std::string& record, const std::string& job, std::ostream& progress) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string folder, FolderOf(record, job));
  Gathering gathering;
  size_t file_number = 0;
  size_t file_count = 0;
  absl::Time next = absl::Now() + absl::Seconds(2);
  recorder::ReplayListener listener;
  listener.file = [&](size_t file, size_t files) {
    file_number = file + 1;
    file_count = files;
  };
  listener.step = [&](const Replayer& replayer) {
    gathering.Add(replayer);
    if (absl::Now() < next) return;
    next = absl::Now() + absl::Seconds(2);
    progress << "evenkeel report: step " << replayer.state()->version.step() << ", file " << file_number << " of "
             << file_count << "\n";
  };
  EVENKEEL_ASSIGN_OR_RETURN(const FolderReplay replay, recorder::ReplayFolder(folder, {}, listener));
  if (gathering.is_empty()) {
    const std::string why = replay.damage.empty() ? "" : absl::StrCat(": ", replay.damage[0]);
    return absl::NotFoundError(absl::StrCat(folder, ": no step is recorded here", why));
  }
  RunPicture picture = std::move(gathering).Result(replay);
  picture.source = absl::StrCat("the record in ", folder);
  return picture;
}

}  // namespace evenkeel::tools
