#include "server/core/simulation/place.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace evenkeel::core::simulation {
namespace {

// The coordinator remembers as many replaced incarnations; a zombie older than that would be taken for a newcomer.
constexpr size_t kMaxDisturbedWorkers = 8;

}  // namespace

Place::Place(World* world, Server* server, JobChecker* checker, int contributor)
    : world_(world), server_(server), checker_(checker), contributor_(contributor) {}

void Place::Start() { StartWorkerAfter(world_->random.Between(0, 30)); }

void Place::StartWorkerAfter(int delay_ms) {
  starting_ = true;
  world_->loop.After(delay_ms, [this] { StartWorker(); });
}

void Place::StartWorker() {
  starting_ = false;
  Worker::Options options;
  options.contributor = contributor_;
  options.incarnation = std::max<uint64_t>(world_->random.Next(), 1);
  // Not every checkpoint is the newest.
  const bool stale = !checkpoint_.rewind && checkpoint_.next_step > 1 && world_->random.Percent(30);
  options.next_step = checkpoint_.next_step - stale;
  options.catch_up = !checkpoint_.rewind && world_->random.Percent(30);
  options.on_death = [this, number = workers_.size()] {
    const bool newest = number + 1 == workers_.size();
    if (newest && !starting_) StartWorkerAfter(world_->random.Between(1, 80));
  };
  workers_.emplace_back(world_, server_, checker_, &checkpoint_, options);
  world_->journal.Note(workers_.back().name(), ": starts at step ", options.next_step);
  world_->journal.Count("worker started");
  workers_.back().Start();
}

void Place::Disturb() {
  if (starting_ || workers_.empty() || finished() || workers_.size() >= kMaxDisturbedWorkers) return;
  switch (world_->random.Between(0, 3)) {
    case 0:
      world_->journal.Count("worker crashed");
      return workers_.back().Die("crashes");
    case 1:
      world_->journal.Count("worker left");
      return workers_.back().Leave();
    case 2:
      world_->journal.Count("worker given up");
      world_->journal.Note(workers_.back().name(), ": is given up, and does not know it");
      return StartWorkerAfter(world_->random.Between(1, 80));
    case 3:
      world_->journal.Count("worker cut off");
      return workers_.back().CutOff(world_->random.Between(50, 1000));
  }
}

void Place::Restart(const Checkpoint& checkpoint) {
  checkpoint_ = checkpoint;
  // A death makes the next process, which the deque must not move for.
  for (size_t i = 0, count = workers_.size(); i < count; ++i) workers_[i].Die("ends with the training");
}

std::string Place::Describe() const {
  if (workers_.empty()) return absl::StrCat("contributor ", contributor_, ": not started");
  const Worker& worker = workers_.back();
  return absl::StrCat(worker.name(), worker.dead() ? " (dead)" : "", " at step ", worker.step());
}

}  // namespace evenkeel::core::simulation
