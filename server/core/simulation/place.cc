#include "server/core/simulation/place.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evenkeel::core::simulation {
namespace {

// The coordinator remembers as many replaced incarnations; a zombie older than that would be taken for a newcomer.
constexpr size_t kMaxDisturbedWorkers = 8;

}  // namespace

Place::Place(World* world, Server* server, JobChecker* checker, int contributor)
    : world_(world),
      server_(server),
      checker_(checker),
      contributor_(contributor),
      name_(PlaceName(checker->scenario(), contributor)),
      random_(world->seed, name_) {}

void Place::Start() { StartWorkerAfter(random_.Between(0, 30)); }

void Place::StartWorkerAfter(int64_t delay_ms) {
  starting_ = true;
  world_->loop.After(static_cast<int>(delay_ms), [this] { StartWorker(); });
}

void Place::StartWorker() {
  starting_ = false;
  Worker::Options options;
  options.contributor = contributor_;
  options.process = static_cast<int>(workers_.size());
  options.incarnation = std::max<uint64_t>(random_.Next(), 1);
  // Not every checkpoint is the newest.
  const bool stale = !rewinds() && checkpoint_.next_step > 1 && random_.Percent(30);
  options.next_step = checkpoint_.next_step - stale;
  options.catch_up = !rewinds() && random_.Percent(30);
  options.on_death = [this, number = workers_.size()] {
    const bool newest = number + 1 == workers_.size();
    if (newest && !starting_) StartWorkerAfter(random_.Between(1, 80) + std::exchange(absence_ms_, 0));
  };
  workers_.emplace_back(world_, server_, checker_, &checkpoint_, options).Start();
}

bool Place::CanSuffer(const Incident& incident) const {
  if (incident.kind == Incident::Kind::kWorkerGivenUp && rewinds()) return false;
  return !starting_ && !workers_.empty() && !finished() && workers_.size() < kMaxDisturbedWorkers;
}

void Place::Suffer(const Incident& incident) {
  if (!CanSuffer(incident)) return;
  Worker& worker = workers_.back();
  const int duration_ms = static_cast<int>(incident.duration_ms);
  const bool stays_away = Random(incident.seed).Percent(30);
  switch (incident.kind) {
    case Incident::Kind::kWorkerCrashes:
      if (stays_away) absence_ms_ = duration_ms;
      return worker.Die("crashes");
    case Incident::Kind::kWorkerLeaves:
      if (stays_away) absence_ms_ = duration_ms;
      return worker.Leave();
    case Incident::Kind::kWorkerHangs:
      return worker.Hang(duration_ms);
    case Incident::Kind::kWorkerSlows:
      return worker.SlowDown(duration_ms);
    case Incident::Kind::kWorkerGivenUp:
      world_->journal.Note(worker.name(), ": is given up, and does not know it");
      return StartWorkerAfter(random_.Between(1, 80));
    case Incident::Kind::kPartition:
      return worker.CutOff(incident.direction, duration_ms);
    default:
      return;
  }
}

void Place::Restart(const Checkpoint& checkpoint) {
  const uint64_t training = checkpoint_.training + 1;
  checkpoint_ = checkpoint;
  checkpoint_.training = training;
  // A death makes the next process, which the deque must not move for.
  for (size_t i = 0, count = workers_.size(); i < count; ++i) workers_[i].Die("ends with the training");
}

std::string Place::Describe() const {
  if (workers_.empty()) return absl::StrCat(name_, " (not started)");
  const Worker& worker = workers_.back();
  return absl::StrCat(worker.name(), worker.dead() ? " (dead)" : "", " at step ", worker.step());
}

}  // namespace evenkeel::core::simulation
