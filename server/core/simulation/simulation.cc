#include "server/core/simulation/simulation.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "job/snapshot.h"
#include "server/core/simulation/checker.h"
#include "server/core/simulation/place.h"
#include "server/core/simulation/random.h"
#include "server/core/simulation/scenario.h"
#include "server/core/simulation/server.h"
#include "server/core/simulation/simplify.h"
#include "server/core/simulation/world.h"

namespace evenkeel::core::simulation {
namespace {

// How long contributors may need once nothing goes wrong any more.
constexpr int64_t kPatienceMs = 10'000;
// Whoever is replaced is remembered for sixteen processes.
constexpr int kMaxRestarts = 3;
constexpr int kTickMs = 20;

v1::CoordinatorConfig ConfigOf(const Scenario& scenario) {
  v1::CoordinatorConfig config;
  config.set_job_expiry_ms(scenario.job_expiry_ms);
  return config;
}

class History {
 public:
  History(const Recipe& recipe, Parts* parts, bool keep_events)
      : world_(recipe.seed, recipe.only, keep_events),
        scenario_(ScenarioOf(recipe)),
        server_(&world_, parts, ConfigOf(scenario_), checker_of_) {
    for (const JobScenario& job : scenario_.jobs) {
      JobChecker* checker = &checkers_.emplace_back(job, &world_.journal);
      checker_of_[job.spec.name()] = checker;
      for (int i = 0; i < job.spec.contributors(); ++i) places_.emplace_back(&world_, &server_, checker, i);
      Introduce(job, checker->plan().effective);
    }
  }

  const World& Run() {
    world_.network.faults = scenario_.faults.network;
    server_.Start();
    for (Place& place : places_) place.Start();
    for (size_t i = 0; i < scenario_.faults.incidents.size(); ++i) ScheduleIncident(i);
    world_.loop.After(scenario_.faults.end_ms, [this] { Heal(); });
    Tick();
    while (!world_.loop.empty() && world_.journal.complaint().empty()) {
      if (!world_.over && world_.loop.now_ms() > scenario_.faults.end_ms + kPatienceMs) {
        world_.journal.Complain("history: contributors do not finish: ", Unfinished());
      }
      world_.loop.RunNext();
    }
    CheckEnd();
    return world_;
  }

 private:
  void Introduce(const JobScenario& job, const v1::JobSpec& effective) {
    Journal& journal = world_.journal;
    journal.Count(absl::StrCat("job with lag ", job.spec.lag()));
    journal.Count("job in mode " + v1::JobSpec::Mode::Kind_Name(effective.mode()));
    journal.Count("job with policy " + v1::JobSpec::MissingPolicy::Kind_Name(effective.missing_policy()));
    if (job.has_groups()) journal.Count("job with groups");
    if (job.has_stages()) journal.Count("job with stages");
    if (job.fresh_counts) journal.Count("job whose processes count anew");
    journal.Note(job.spec.name(), ": ", job.steps, " steps of ", job.spec.ShortDebugString());
  }

  void Tick() {
    world_.over = world_.loop.now_ms() > scenario_.faults.end_ms && Unfinished().empty();
    if (world_.over) return;
    server_.Tick();
    world_.loop.After(kTickMs, [this] { Tick(); });
  }

  void ScheduleIncident(size_t number) {
    const Incident& incident = scenario_.faults.incidents[number];
    world_.loop.After(static_cast<int>(incident.at_ms), [this, number, &incident] {
      if (!Matters(incident) || !world_.fate.Strikes(absl::StrCat(number, ":", NameOf(incident.kind)))) return;
      world_.journal.Count(NameOf(incident.kind));
      Happen(incident);
    });
  }

  Place* FindPlace(const std::string& name) {
    const auto found =
        std::find_if(places_.begin(), places_.end(), [&](const Place& place) { return place.name() == name; });
    return found == places_.end() ? nullptr : &*found;
  }

  // Whether there is something for it to happen to.
  bool Matters(const Incident& incident) {
    using Kind = Incident::Kind;
    switch (incident.kind) {
      case Kind::kServerCrashes:
      case Kind::kServerStops:
      case Kind::kWriteInterrupted:
        return server_.up();
      case Kind::kTrainingRestarts:
        return CheckpointFor(incident).has_value();
      case Kind::kClockJumps:
      case Kind::kClockStands:
        return true;
      default:
        return std::any_of(incident.places.begin(), incident.places.end(), [&](const std::string& name) {
          const Place* place = FindPlace(name);
          return place != nullptr && place->CanSuffer(incident);
        });
    }
  }

  void Happen(const Incident& incident) {
    switch (incident.kind) {
      case Incident::Kind::kServerCrashes:
        return server_.Crash();
      case Incident::Kind::kServerStops:
        return server_.Stop();
      case Incident::Kind::kWriteInterrupted:
        return server_.InterruptWrite(Random(incident.seed).Between(0, 3));
      case Incident::Kind::kTrainingRestarts:
        return RestartTraining(incident);
      case Incident::Kind::kClockJumps:
        world_.journal.Note("clock: jumps ", incident.duration_ms, " ms ahead");
        return world_.clock.Jump(incident.duration_ms);
      case Incident::Kind::kClockStands:
        world_.journal.Note("clock: stands still for ", incident.duration_ms, " ms");
        return world_.clock.Stand(incident.duration_ms);
      default:
        for (const std::string& name : incident.places) {
          if (Place* place = FindPlace(name)) place->Suffer(incident);
        }
    }
  }

  // Of some step before the last. At the open step a process would join at once, and pushes that others made before
  // they died could still complete it.
  std::optional<v1::JobState> CheckpointFor(const Incident& incident) {
    const Place* first = FindPlace(incident.places[0]);
    if (first == nullptr || scenario_.job_expiry_ms > 0) return std::nullopt;
    const std::string& job = first->checker()->plan().effective.name();
    const JobRecord* record = world_.disk.Find(job);
    const bool under_way = std::any_of(places_.begin(), places_.end(), [&](const Place& place) {
      return place.checker() == first->checker() && place.rewinds();
    });
    const int committed = record != nullptr ? static_cast<int>(record->state.version().step()) : 0;
    if (committed == 0 || under_way || restarts_ >= kMaxRestarts) return std::nullopt;
    Random random(incident.seed);
    const uint64_t step = random.Between(0, committed - 1);
    const std::vector<v1::JobState> states = world_.disk.States(job, {step});
    return states.empty() ? std::nullopt : std::optional(states[0]);
  }

  // On all places of the job alike, from a checkpoint that holds the job's state or does not.
  void RestartTraining(const Incident& incident) {
    const v1::JobState state = *CheckpointFor(incident);
    const JobChecker* checker = FindPlace(incident.places[0])->checker();
    ++restarts_;
    Checkpoint checkpoint;
    checkpoint.next_step = state.version().step() + 1;
    const bool is_shared = checker->plan().effective.missing_policy() == v1::JobSpec::MissingPolicy::COMMIT_WITHOUT;
    checkpoint.rewind = std::make_shared<bool>(true);
    const v1::Snapshot snapshot = job::MakeSnapshot(state);
    world_.journal.Note("training of ", state.spec().name(), " restarts at step ", checkpoint.next_step);
    for (Place& place : places_) {
      if (place.checker() != checker) continue;
      if (!is_shared) checkpoint.rewind = std::make_shared<bool>(true);
      checkpoint.snapshot.reset();
      if (Random(incident.seed, place.name()).Percent(50)) checkpoint.snapshot = snapshot;
      place.Restart(checkpoint);
    }
  }

  void Heal() {
    world_.journal.Note("nothing goes wrong from now on");
    world_.network.faults = NetworkFaults();
    server_.Heal();
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
    if (!unfinished.empty()) {
      world_.journal.Complain("history: nothing happens any more, and not all have finished: ", unfinished);
    }
    for (const auto& [name, checker] : checker_of_) {
      if (!checker->IsComplete()) world_.journal.Complain(name, ": the last step is not committed");
    }
    if (!server_.up() || server_.HasParkedCalls()) world_.journal.Complain("history: calls wait at the end");
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

Scenario ScenarioOf(const Recipe& recipe) {
  Random random(recipe.seed, "scenario");
  Scenario scenario = DrawScenario(&random);
  for (const std::string& name : recipe.simpler) Simplify(name, &scenario);
  return scenario;
}

Report RunHistory(const Recipe& recipe, const MakeParts& make_parts, bool keep_events) {
  const std::unique_ptr<Parts> parts = make_parts();
  History history(recipe, parts.get(), keep_events);
  const World& world = history.Run();
  const Journal& journal = world.journal;
  return {recipe, journal.complaint(), world.fate.struck(), journal.events(), journal.counts()};
}

}  // namespace evenkeel::core::simulation
