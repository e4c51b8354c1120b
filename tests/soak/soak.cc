#include "tests/soak/soak.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "job/snapshot.h"
#include "tests/http_get.h"
#include "tests/load/process_usage.h"
#include "tests/soak/connection_cutter.h"
#include "tests/soak/faults.h"
#include "tests/soak/flatness.h"
#include "tests/soak/fleet.h"
#include "tests/soak/lives.h"
#include "tests/soak/reference.h"
#include "tests/soak/soak_messages.h"

namespace evenkeel::soak {
namespace {

using step_benchmark::Report;

constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr double kMebi = 1 << 20;
constexpr Bound kMemoryBound = {0.1, 4 * kMebi};
constexpr Bound kFilesBound = {0, 0};
// Of the whole soak, a series.
constexpr int64_t kSamples = 2000;
constexpr uint64_t kDeepestRewind = 20;
constexpr absl::Duration kProgressEvery = absl::Seconds(10);

absl::Status Breach(absl::string_view what) { return absl::InternalError(what); }

// Rounds between samples of a short life.
constexpr int64_t kShortLifeSampling = 10;

// What the coordinator's process amounts to.
struct Sample {
  double resident = 0;
  double files = 0;
  double database = 0;
};
struct Samples {
  Series resident, files, database;

  void Add(const Sample& sample) {
    resident.Add(sample.resident);
    files.Add(sample.files);
    database.Add(sample.database);
  }
};

class Soak {
 public:
  explicit Soak(const SoakOptions& options)
      : options_(options),
        messages_(options.seed, options.workers, kPatience),
        reference_(&messages_),
        faults_(options.seed, options.workers, options.steps),
        lives_(options.record) {}

  absl::StatusOr<SoakReport> Run();
  // That everybody has the answer to.
  uint64_t step() const { return reference_.step(); }

 private:
  uint64_t steps() const { return static_cast<uint64_t>(options_.steps); }
  // The middle of the steps, in which the coordinator lives once, whatever is rewound.
  bool IsTimeOfLongLife() const { return furthest_ >= steps() / 5 && furthest_ < steps() - steps() / 5; }
  absl::Status TakeStep(const RoundPlan& plan);
  absl::Status Strike(Fault fault, int worker, uint64_t draw);
  absl::Status Restart(int signal);
  absl::Status StrikeBetweenSteps(Fault fault, uint64_t draw);
  absl::Status Rewind(uint64_t depth);
  absl::Status ChangeRate(uint64_t draw);
  absl::Status Look();
  absl::Status LookAtState();
  // The first from `draw` on that is here, or is not; -1 for none.
  int Find(bool here, uint64_t draw) const;
  Sample SampleLife() const;
  void TakeSamples(int64_t round);
  void TellProgress();
  SoakReport Tell() const;

  const SoakOptions options_;
  const SoakMessages messages_;
  Reference reference_;
  const FaultPlan faults_;
  Lives lives_;
  std::unique_ptr<Fleet> fleet_;
  std::map<Fault, int64_t> tally_;
  int64_t connections_cut_ = 0;
  int64_t steps_taken_ = 0;
  uint64_t steps_rewound_ = 0;
  uint64_t furthest_ = 0;  // step

  bool lives_long_ = false;
  // Of this life, if it is a short one and has lived for a while.
  std::optional<Sample> short_life_;
  Samples long_life_;
  Samples over_lives_;  // one of each short one, near its end
  Series load_resident_;
  const absl::Time start_ = absl::Now();
  absl::Time told_ = absl::Now();
};

absl::StatusOr<SoakReport> Soak::Run() {
  EVENKEEL_RETURN_IF_ERROR(lives_.Start());
  Fleet::Options fleet;
  fleet.address = lives_.address();
  fleet.workers = options_.workers;
  fleet.patience = kPatience;
  fleet_ = std::make_unique<Fleet>(fleet, &messages_, &reference_);
  EVENKEEL_RETURN_IF_ERROR(fleet_->Begin());
  for (int64_t round = 0; reference_.step() < steps(); ++round) {
    RoundPlan plan = faults_.Draw(round, !IsTimeOfLongLife());
    if (IsTimeOfLongLife() && !lives_long_) plan.moments = {{0, Fault::kStop}};  // it begins with the step
    EVENKEEL_RETURN_IF_ERROR(TakeStep(plan));
    furthest_ = std::max(furthest_, reference_.step());
    TakeSamples(round);
    TellProgress();
  }
  EVENKEEL_RETURN_IF_ERROR(LookAtState());
  return Tell();
}

absl::Status Soak::TakeStep(const RoundPlan& plan) {
  for (const Fault fault : plan.before) EVENKEEL_RETURN_IF_ERROR(StrikeBetweenSteps(fault, plan.draw));
  while (fleet_->is_waiting()) EVENKEEL_RETURN_IF_ERROR(fleet_->TakeAnswer());

  std::vector<int> workers = fleet_->OpenStep(lives_.start_of_life());
  const int count = static_cast<int>(workers.size());
  std::rotate(workers.begin(), workers.begin() + plan.first_worker % count, workers.end());
  auto moment = plan.moments.begin();
  const auto strike_until = [&](int now) -> absl::Status {
    for (; moment != plan.moments.end() && moment->first <= now; ++moment) {
      EVENKEEL_RETURN_IF_ERROR(Strike(moment->second, workers[plan.draw % count], plan.draw));
    }
    return absl::OkStatus();
  };
  for (int sent = 0; sent < count; ++sent) {
    EVENKEEL_RETURN_IF_ERROR(strike_until(sent));
    fleet_->Push(workers[sent]);
    for (const int twice : plan.duplicates) {
      if (twice != workers[sent]) continue;
      fleet_->Push(twice);
      ++tally_[Fault::kDuplicate];
    }
  }
  for (int heard = 0; fleet_->is_waiting() && moment != plan.moments.end(); ++heard) {
    EVENKEEL_RETURN_IF_ERROR(strike_until(count + heard));
    EVENKEEL_RETURN_IF_ERROR(fleet_->TakeAnswer());
  }
  ++steps_taken_;
  return fleet_->EndStep();
}

absl::Status Soak::Restart(int signal) {
  if (short_life_.has_value()) over_lives_.Add(*short_life_);
  short_life_.reset();
  EVENKEEL_RETURN_IF_ERROR(lives_.Replace(signal));
  lives_long_ = IsTimeOfLongLife();
  fleet_->OnRestart();
  return absl::OkStatus();
}

absl::Status Soak::Strike(Fault fault, int worker, uint64_t draw) {
  ++tally_[fault];
  switch (fault) {
    case Fault::kKill:
      return Restart(SIGKILL);
    case Fault::kStop:
      return Restart(SIGTERM);
    case Fault::kCut:
      connections_cut_ += CutConnectionsTo(lives_.port(), draw % 2 == 0 ? 1 : 2);
      return absl::OkStatus();
    case Fault::kReconnect:
      fleet_->Reconnect(static_cast<int>(draw % fleet_->channels()));
      return absl::OkStatus();
    default:
      return fleet_->Replace(worker);
  }
}

int Soak::Find(bool here, uint64_t draw) const {
  for (int i = 0; i < options_.workers; ++i) {
    const int worker = static_cast<int>((draw + i) % options_.workers);
    if (fleet_->is_here(worker) == here) return worker;
  }
  return -1;
}

absl::Status Soak::StrikeBetweenSteps(Fault fault, uint64_t draw) {
  // Of each channel, somebody stays: so it has a connection.
  const bool may_go = fleet_->away() + 1 < options_.workers / fleet_->channels();
  const bool goes = fault == Fault::kLeave || fault == Fault::kSilence;
  int worker = Find(/*here=*/fault != Fault::kReturn, draw);
  if (worker < 0 || (goes && !may_go)) return absl::OkStatus();
  ++tally_[fault];
  switch (fault) {
    case Fault::kFormerPush:
      fleet_->PushFormer(worker);
      return absl::OkStatus();
    case Fault::kHeartbeat:
      fleet_->Heartbeat(worker);
      return absl::OkStatus();
    case Fault::kLeave:
      return fleet_->Leave(worker);
    case Fault::kSilence:
      fleet_->Hang(worker);
      return absl::OkStatus();
    case Fault::kReturn:
      // The longer one hangs, the more restarts have to wait for it.
      for (int i = 0; i < options_.workers; ++i) worker = fleet_->hangs(i) ? i : worker;
      return fleet_->Return(worker, /*later=*/!fleet_->hangs(worker) && draw % 4 == 0);
    case Fault::kRewind:
      return Rewind(1 + draw % kDeepestRewind);
    case Fault::kConfig:
      return ChangeRate(draw);
    default:
      return Look();
  }
}

absl::Status Soak::Rewind(uint64_t depth) {
  while (fleet_->is_waiting()) EVENKEEL_RETURN_IF_ERROR(fleet_->TakeAnswer());
  const uint64_t deepest = reference_.step() - reference_.oldest();
  if (deepest == 0) return absl::OkStatus();
  steps_rewound_ += std::min(depth, deepest);
  return fleet_->Rewind(reference_.step() - std::min(depth, deepest));
}

absl::Status Soak::ChangeRate(uint64_t draw) {
  v1::UpdateConfigRequest request;
  request.set_job(SoakMessages::kJob);
  request.set_from_step(reference_.step() + 1 + draw % 3);
  request.mutable_balance()->set_rate(static_cast<double>(1 + draw % 64) / 1024);
  reference_.SetRate(request.from_step(), request.balance().rate());
  return fleet_->CallNow([&](v1::BiasCoordinator::Stub* stub, grpc::ClientContext* context) {
    v1::UpdateConfigResponse response;
    return stub->UpdateConfig(context, request, &response);
  });
}

absl::Status Soak::Look() {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string page, tests::HttpGet(lives_.metrics_address(), "/metrics"));
  if (!absl::StrContains(page, "evenkeel_job_step")) return Breach("the metrics page has no evenkeel_job_step");
  v1::DescribeJobResponse description;
  EVENKEEL_RETURN_IF_ERROR(fleet_->CallNow([&](v1::BiasCoordinator::Stub* stub, grpc::ClientContext* context) {
    v1::DescribeJobRequest request;
    request.set_job(SoakMessages::kJob);
    return stub->DescribeJob(context, request, &description);
  }));
  if (description.summary().version().step() != reference_.step()) {
    return Breach(absl::StrCat("DescribeJob has step ", description.summary().version().step()));
  }
  return LookAtState();
}

// The sums of all steps among it: every push is counted once.
absl::Status Soak::LookAtState() {
  v1::GetStateResponse response;
  EVENKEEL_RETURN_IF_ERROR(fleet_->CallNow([&](v1::BiasCoordinator::Stub* stub, grpc::ClientContext* context) {
    v1::GetStateRequest request;
    request.set_job(SoakMessages::kJob);
    return stub->GetState(context, request, &response);
  }));
  EVENKEEL_ASSIGN_OR_RETURN(const job::SnapshotStates states, job::OpenSnapshot(response.snapshot()));
  const v1::JobState theirs = Balancing(states.state);
  const v1::JobState ours = reference_.State();
  if (theirs.SerializeAsString() == ours.SerializeAsString()) return absl::OkStatus();
  return Breach(
      absl::StrCat("GetState has ", theirs.ShortDebugString(), "; the reference has ", ours.ShortDebugString()));
}

Sample Soak::SampleLife() const {
  const load::ProcessUsage usage = lives_.usage();
  return {static_cast<double>(usage.resident_bytes), static_cast<double>(usage.open_files),
          static_cast<double>(lives_.database_bytes())};
}

void Soak::TakeSamples(int64_t round) {
  if (round % std::max<int64_t>(1, options_.steps / kSamples) == 0) {
    if (lives_long_ && IsTimeOfLongLife()) long_life_.Add(SampleLife());
    load_resident_.Add(static_cast<double>(load::UsageOf(getpid()).resident_bytes));
  }
  if (!lives_long_ && round % kShortLifeSampling == 0) short_life_ = SampleLife();
}

void Soak::TellProgress() {
  if (absl::Now() - told_ < kProgressEvery) return;
  told_ = absl::Now();
  const double seconds = absl::ToDoubleSeconds(told_ - start_);
  options_.progress(absl::StrFormat("step %d of %d, life %d of the coordinator, %.0f s, %.0f steps a second",
                                    reference_.step(), options_.steps, lives_.count(), seconds,
                                    static_cast<double>(steps_taken_) / seconds));
}

struct Judged {
  std::string name;   // of the figures
  std::string title;  // for people
  const Series* series;
  double unit;
  Bound bound;
};

void TellSeries(const Judged& judged, SoakReport* report) {
  const Series& series = *judged.series;
  const auto in_units = [&](double value) { return value / judged.unit; };
  report->figures.AddFigure(judged.name + "_first", series.first());
  report->figures.AddFigure(judged.name + "_last", series.last());
  report->figures.AddFigure(judged.name + "_most", series.most());
  report->figures.AddFigure(judged.name + "_second_tenth", series.early());
  report->figures.AddFigure(judged.name + "_last_tenth", series.late(),
                            absl::StrFormat("%-44s %9.1f %9.1f %9.1f %9.1f %9.1f", judged.title,
                                            in_units(series.first()), in_units(series.last()), in_units(series.most()),
                                            in_units(series.early()), in_units(series.late())));
  if (IsFlat(series, judged.bound)) return;
  report->growth.push_back(
      absl::StrFormat("%s grew from %.1f to %.1f", judged.title, in_units(series.early()), in_units(series.late())));
}

SoakReport Soak::Tell() const {
  SoakReport report{Report("soak", absl::StrFormat("soak: %d workers, %d steps, seed %d%s", options_.workers,
                                                   options_.steps, options_.seed, options_.record ? ", recorded" : "")),
                    {},
                    {}};
  Report& figures = report.figures;
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start_);
  const double taken = static_cast<double>(steps_taken_);
  const Fleet::Tally& tally = fleet_->tally();
  figures.AddFigure("workers", options_.workers);
  figures.AddFigure("seed", static_cast<double>(options_.seed));
  figures.AddFigure("record", options_.record);
  figures.AddFigure("steps", static_cast<double>(options_.steps));
  const int64_t lost = steps_taken_ - static_cast<int64_t>(steps_rewound_ + reference_.step());
  figures.AddFigure("steps_taken", taken);
  figures.AddFigure("steps_rewound", static_cast<double>(steps_rewound_));
  figures.AddFigure("steps_lost", static_cast<double>(lost),
                    absl::StrFormat("%d steps taken, %d of them rewound, %d lost; all as the reference has them, bit "
                                    "for bit",
                                    steps_taken_, steps_rewound_, lost));
  figures.AddFigure("seconds", seconds);
  figures.AddFigure("steps_per_second", taken / seconds,
                    absl::StrFormat("%.0f s, %.0f steps a second", seconds, taken / seconds));
  figures.AddFigure("cpu_ms_per_step", 1e3 * lives_.cpu_seconds() / taken,
                    absl::StrFormat("the coordinator's CPU a step: %.2f ms", 1e3 * lives_.cpu_seconds() / taken));
  figures.AddFigure("load_cpu_ms_per_step", 1e3 * load::UsageOf(getpid()).cpu_seconds / taken,
                    absl::StrFormat("the workers' CPU a step, all together: %.2f ms",
                                    1e3 * load::UsageOf(getpid()).cpu_seconds / taken));
  figures.AddFigure("pushes", static_cast<double>(tally.pushes));
  figures.AddFigure("answers", static_cast<double>(tally.answers));
  figures.AddFigure("joins", static_cast<double>(tally.joins),
                    absl::StrFormat("%d pushes, %d answers, %d joins; %d calls made again for want of an answer",
                                    tally.pushes, tally.answers, tally.joins, tally.made_again));
  figures.AddFigure("calls_made_again", static_cast<double>(tally.made_again));
  figures.AddFigure("late_pushes", static_cast<double>(tally.late),
                    absl::StrFormat("%d pushes later than the job waits", tally.late));
  figures.AddFigure("lives", static_cast<double>(lives_.count()));
  figures.AddFigure(
      "connections_cut", static_cast<double>(connections_cut_),
      absl::StrFormat("%d lives of the coordinator; %d connections cut", lives_.count(), connections_cut_));
  for (int i = 0; i < kFaults; ++i) {
    const Fault fault = static_cast<Fault>(i);
    const auto found = tally_.find(fault);
    const int64_t times = found == tally_.end() ? 0 : found->second;
    report.faults[NameOf(fault)] = times;
    figures.AddFigure(absl::StrCat("fault: ", NameOf(fault)), static_cast<double>(times),
                      absl::StrFormat("  %-40s %9d", NameOf(fault), times));
  }
  const std::string of_record = absl::StrFormat("MiB of the record: %.1f", lives_.record_bytes() / kMebi);
  figures.AddFigure("record_bytes", static_cast<double>(lives_.record_bytes()), options_.record ? of_record : "");
  figures.AddFigure(
      "samples", static_cast<double>(long_life_.resident.size()),
      absl::StrFormat("%-44s %9s %9s %9s %9s %9s", "", "first", "last", "most", "2nd tenth", "last tenth"));
  for (const Judged& judged : {
           Judged{"life_resident", "one life: MiB resident", &long_life_.resident, kMebi, kMemoryBound},
           Judged{"life_files", "one life: open files", &long_life_.files, 1, kFilesBound},
           Judged{"life_database", "one life: MiB of the database", &long_life_.database, kMebi, kMemoryBound},
           Judged{"lives_resident", "over lives: MiB resident", &over_lives_.resident, kMebi, kMemoryBound},
           Judged{"lives_files", "over lives: open files", &over_lives_.files, 1, kFilesBound},
           Judged{"lives_database", "over lives: MiB of the database", &over_lives_.database, kMebi, kMemoryBound},
           Judged{"load_resident", "the workers' process: MiB resident", &load_resident_, kMebi, kMemoryBound},
       }) {
    TellSeries(judged, &report);
  }
  return report;
}

}  // namespace

absl::StatusOr<SoakReport> RunSoak(const SoakOptions& options) {
  Soak soak(options);
  absl::StatusOr<SoakReport> report = soak.Run();
  if (report.ok()) return report;
  return absl::Status(report.status().code(), absl::StrCat("seed ", options.seed, ", after step ", soak.step(), ": ",
                                                           report.status().message()));
}

}  // namespace evenkeel::soak
