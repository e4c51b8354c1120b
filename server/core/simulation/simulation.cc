#include "server/core/simulation/simulation.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "job/snapshot.h"
#include "server/core/simulation/checker.h"
#include "server/core/simulation/place.h"
#include "server/core/simulation/scenario.h"
#include "server/core/simulation/server.h"
#include "server/core/simulation/world.h"

namespace evenkeel::core::simulation {
namespace {

// How long contributors may need once nothing goes wrong any more.
constexpr int64_t kPatienceMs = 60'000;
constexpr size_t kEventsShown = 60;
// Whoever is replaced is remembered for sixteen processes.
constexpr int kMaxRestarts = 3;

class History {
 public:
  History(uint64_t seed, Parts* parts, bool keep_events)
      : world_(seed, keep_events), scenario_(DrawScenario(&world_.random)), server_(&world_, parts, checker_of_) {
    for (const JobScenario& job : scenario_.jobs) {
      JobChecker* checker = &checkers_.emplace_back(job, &world_.journal);
      checker_of_[job.spec.name()] = checker;
      for (int i = 0; i < job.spec.contributors(); ++i) places_.emplace_back(&world_, &server_, checker, i);
      world_.journal.Count(absl::StrCat("job with lag ", job.spec.lag()));
      world_.journal.Count("job in mode " + v1::JobSpec::Mode::Kind_Name(checker->plan().effective.mode()));
      world_.journal.Note("job of ", job.steps, " steps: ", job.spec.ShortDebugString());
    }
  }

  const Journal& Run() {
    world_.network.SetFaults(scenario_.faults.network);
    server_.InterruptWrites(scenario_.faults.interrupted_writes);
    server_.Start();
    for (Place& place : places_) place.Start();
    ScheduleFault();
    world_.loop.After(scenario_.faults.end_ms, [this] { Heal(); });
    while (!world_.loop.empty() && world_.journal.complaint().empty()) {
      if (world_.loop.now_ms() > scenario_.faults.end_ms + kPatienceMs) {
        world_.journal.Complain("contributors do not finish: ", Unfinished());
      }
      world_.loop.RunNext();
    }
    CheckEnd();
    return world_.journal;
  }

 private:
  void ScheduleFault() {
    world_.loop.After(world_.random.Between(1, 2 * scenario_.faults.mean_pause_ms), [this] {
      if (world_.loop.now_ms() >= scenario_.faults.end_ms) return;
      Fail();
      ScheduleFault();
    });
  }

  // Lets one process fail.
  void Fail() {
    if (world_.random.Percent(12)) return RestartTraining(scenario_.jobs[0].spec.name());
    if (world_.random.Percent(60)) return places_[world_.random.Between(0, places_.size() - 1)].Disturb();
    if (!server_.up()) return;
    if (world_.random.Percent(70)) {
      world_.journal.Count("server crashed");
      server_.Crash();
    } else {
      world_.journal.Count("server stopped");
      server_.Stop();
    }
  }

  // From a checkpoint of some step before the last, on all places of the job alike. At the open step a process would
  // join at once, and pushes that others made before they died could still complete it.
  void RestartTraining(const std::string& job) {
    const JobRecord* record = world_.disk.Find(job);
    const JobChecker* checker = checker_of_.at(job);
    const bool under_way = std::any_of(places_.begin(), places_.end(), [&](const Place& place) {
      return place.checker() == checker && place.rewinds();
    });
    const int committed = record != nullptr ? static_cast<int>(record->state.version().step()) : 0;
    if (committed == 0 || under_way || restarts_++ >= kMaxRestarts) return;
    const uint64_t step = world_.random.Between(0, committed - 1);
    const std::vector<v1::JobState> states = world_.disk.States(job, {step});
    if (states.empty()) return;
    Checkpoint checkpoint;
    checkpoint.next_step = step + 1;
    checkpoint.rewind = true;
    const v1::Snapshot snapshot = job::MakeSnapshot(states[0]);
    world_.journal.Note("training of ", job, " restarts at step ", checkpoint.next_step);
    world_.journal.Count("training restarted");
    for (Place& place : places_) {
      if (place.checker() != checker) continue;
      checkpoint.snapshot.reset();
      if (world_.random.Percent(50)) checkpoint.snapshot = snapshot;
      place.Restart(checkpoint);
    }
  }

  void Heal() {
    world_.journal.Note("nothing goes wrong from now on");
    world_.network.SetFaults(Network::Faults());
    server_.InterruptWrites(0);
  }

  std::string Unfinished() const {
    std::vector<std::string> unfinished;
    for (const Place& place : places_) {
      if (!place.finished()) unfinished.push_back(place.Describe());
    }
    return absl::StrJoin(unfinished, ", ");
  }

  void CheckEnd() {
    const std::string unfinished = Unfinished();
    if (!unfinished.empty())
      world_.journal.Complain("nothing happens any more, and not all have finished: ", unfinished);
    for (const JobChecker& checker : checkers_) {
      if (!checker.IsComplete()) world_.journal.Complain("the last step is not committed");
    }
    if (!server_.up() || server_.HasParkedCalls()) world_.journal.Complain("calls wait at the end");
  }

  World world_;
  const Scenario scenario_;
  std::deque<JobChecker> checkers_;
  std::map<std::string, JobChecker*> checker_of_;
  Server server_;
  std::deque<Place> places_;
  int restarts_ = 0;
};

}  // namespace

Report RunHistory(uint64_t seed, const MakeParts& make_parts, bool keep_events) {
  const std::unique_ptr<Parts> parts = make_parts();
  History history(seed, parts.get(), keep_events);
  const Journal& journal = history.Run();
  return {seed, journal.complaint(), journal.events(), journal.counts()};
}

std::string Explain(uint64_t seed, const MakeParts& make_parts) {
  const Report report = RunHistory(seed, make_parts, /*keep_events=*/true);
  const size_t first = report.events.size() - std::min(report.events.size(), kEventsShown);
  std::vector<std::string> shown(report.events.begin() + first, report.events.end());
  if (first > 0) shown.insert(shown.begin(), report.events.front());
  return absl::StrCat("seed ", seed, ": ", report.complaint,
                      "\nrun it alone: bazel test //server/core/simulation:simulation_test --test_env=EVENKEEL_SEED=",
                      seed, " --test_env=EVENKEEL_HISTORIES=1\n", absl::StrJoin(shown, "\n"));
}

}  // namespace evenkeel::core::simulation
