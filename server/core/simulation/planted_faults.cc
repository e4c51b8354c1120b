#include "server/core/simulation/planted_faults.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "job/test_messages.h"
#include "server/core/simulation/server.h"

namespace evenkeel::core::simulation {
namespace {

// Takes the repetition of a push for the push of the next contributor, and sums it again.
class SumsADuplicate final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const auto key = std::tuple(push->job(), push->contributor(), push->step(), push->incarnation());
    if (!seen_.insert(key).second) PushAsAnother(now, *push, coordinator, effects);
    return Parts::Push(now, call, push, coordinator, effects);
  }

 private:
  static constexpr CallId kNobody = ~CallId{0};

  static void PushAsAnother(absl::Time now, v1::PushRequest push, Coordinator* coordinator, Effects* effects) {
    const absl::StatusOr<v1::JobState> state = coordinator->State(push.job());
    if (!state.ok() || push.step() != state->version().step() + 1) return;
    push.set_contributor((push.contributor() + 1) % state->spec().contributors());
    push.set_incarnation(push.incarnation() / 2 + 1);
    const v1::JoinRequest join = job::TestJoin(state->spec(), push.contributor(), push.incarnation(), push.step());
    if (!coordinator->Join(now, join, effects).ok()) return;
    coordinator->Push(now, kNobody, &push, effects);
    coordinator->Cancel(push.job(), kNobody);
    std::vector<Answer>& answers = effects->answers;
    answers.erase(std::remove_if(answers.begin(), answers.end(), [](const Answer& a) { return a.call == kNobody; }),
                  answers.end());
  }

  std::set<std::tuple<std::string, int, uint64_t, uint64_t>> seen_;
};

// Sums a late push into the step that is open.
class SumsALatePush final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const absl::StatusOr<v1::JobState> state = coordinator->State(push->job());
    if (state.ok() && push->step() <= state->version().step() && state->spec().lag() == 0) {
      *push->mutable_routed_with() = state->version();
      push->set_step(state->version().step() + 1);
    }
    return Parts::Push(now, call, push, coordinator, effects);
  }
};

// Takes the counts of an earlier push of the same contributor and step.
class TakesAnEarlierPush : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    if (!push->counts_lost()) {
      const auto key = std::tuple(push->job(), push->contributor(), push->step());
      const v1::PushRequest& earlier = pushes_.emplace(key, *push).first->second;
      if (TakesInstead(earlier, *push)) {
        *push->mutable_valid_tokens() = earlier.valid_tokens();
        *push->mutable_short_slots() = earlier.short_slots();
        *push->mutable_routed() = earlier.routed();
        *push->mutable_dispatched() = earlier.dispatched();
      }
    }
    return Parts::Push(now, call, push, coordinator, effects);
  }

 private:
  virtual bool TakesInstead(const v1::PushRequest& earlier, const v1::PushRequest& push) const = 0;

  std::map<std::tuple<std::string, int, uint64_t>, v1::PushRequest> pushes_;
};

// Of a process that has been replaced.
class KeepsTheReplacedOnesPush final : public TakesAnEarlierPush {
  bool TakesInstead(const v1::PushRequest& earlier, const v1::PushRequest& push) const override {
    return earlier.epoch() == push.epoch();
  }
};

// Of before the job went back.
class KeepsAPushAcrossARewind final : public TakesAnEarlierPush {
  bool TakesInstead(const v1::PushRequest& earlier, const v1::PushRequest& push) const override {
    return earlier.epoch() < push.epoch();
  }
};

// Takes a push that has lost its counts for one that repeats those of the step before.
class ForgetsThatCountsWereLost final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    v1::PushRequest& before = before_[{push->job(), push->contributor()}];
    if (push->counts_lost() && before.valid_tokens_size() > 0) {
      push->set_counts_lost(false);
      *push->mutable_valid_tokens() = before.valid_tokens();
      *push->mutable_short_slots() = before.short_slots();
      *push->mutable_routed() = before.routed();
      *push->mutable_dispatched() = before.dispatched();
    }
    before = *push;
    return Parts::Push(now, call, push, coordinator, effects);
  }

 private:
  std::map<std::pair<std::string, int>, v1::PushRequest> before_;
};

// Names every contributor as a participant, those too that had no counts.
class NamesWhoDidNotTakePart final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const size_t commits = effects->commits.size();
    const PushResult result = Parts::Push(now, call, push, coordinator, effects);
    if (effects->commits.size() == commits) return result;
    auto state = std::make_shared<v1::JobState>(*effects->writes.back().state);
    v1::CommitRecord* commit = state->mutable_last_commit();
    commit->clear_participants();
    for (int i = 0; i < state->spec().contributors(); ++i) commit->add_participants(i);
    effects->writes.back().state = std::move(state);
    return result;
  }
};

// Tells the first that it answers of another list of participants.
class TellsOneOfOtherParticipants final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const size_t answers = effects->answers.size();
    const PushResult result = Parts::Push(now, call, push, coordinator, effects);
    if (effects->answers.size() < answers + 2 || !effects->answers[answers].reply.ok()) return result;
    auto& reply = *effects->answers[answers].reply;
    auto other = std::make_shared<v1::CommittedVersion>(*reply);
    if (other->participants_size() > 0) other->mutable_participants()->RemoveLast();
    reply = std::move(other);
    return result;
  }
};

class IgnoresSkippedSteps final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    push->set_ok(true);
    return Parts::Push(now, call, push, coordinator, effects);
  }
};

class IgnoresReplayedSteps final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    push->set_replayed(false);
    return Parts::Push(now, call, push, coordinator, effects);
  }
};

// Answers late pushes with the version before the newest.
class AnswersWithAnOldVersion final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const PushResult result = Parts::Push(now, call, push, coordinator, effects);
    if (result != PushResult::kLate || !effects->answers.back().reply.ok()) return result;
    Server::Version& answer = *effects->answers.back().reply;
    auto& [newest, before] = versions_[push->job()];
    if (newest == nullptr || newest->version().step() < answer->version().step()) {
      before = newest;
      newest = answer;
    }
    if (before != nullptr) answer = before;
    return result;
  }

 private:
  std::map<std::string, std::pair<Server::Version, Server::Version>> versions_;
};

class AnswersTwice final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const PushResult result = Parts::Push(now, call, push, coordinator, effects);
    if (result == PushResult::kLate) effects->answers.push_back(effects->answers.back());
    return result;
  }
};

class SwallowsPushes final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    if (push->step() >= 2 && push->contributor() == 0) return PushResult::kDuplicate;
    return Parts::Push(now, call, push, coordinator, effects);
  }
};

// Finds ranks that hold the same tokens, and says so to nobody.
class KeepsItToItself final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const PushResult result = Parts::Push(now, call, push, coordinator, effects);
    effects->violations.clear();
    return result;
  }
};

// Does not look at what ranks say of themselves.
class AsksNobody final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    push->clear_rank_fingerprints();
    push->clear_diverged_ranks();
    return Parts::Push(now, call, push, coordinator, effects);
  }
};

class RepliesBeforeTheWrite final : public Parts {
 public:
  bool AnswersBeforeWriting() const override { return true; }
};

// Found by what contributors hear, not by a look into the coordinator.
class Unseen : public Parts {
 public:
  bool ComparesMemoryWithDisk() const override { return false; }
};

// A disk that says it has written a commit, and has not.
class LosesCommits final : public Unseen {
 public:
  void Apply(const std::vector<Write>& writes, Disk* disk) override {
    const bool commits = std::any_of(writes.begin(), writes.end(), [](const Write& write) {
      return write.state != nullptr && write.state->version().step() > 0;
    });
    if (!commits || ++commits_ % 3 != 0) Parts::Apply(writes, disk);
  }

 private:
  int commits_ = 0;
};

// Writes that are no transaction.
class TearsWrites final : public Unseen {
 public:
  void Apply(const std::vector<Write>& writes, Disk* disk) override {
    Parts::Apply({writes.begin(), writes.end() - (writes.size() > 1)}, disk);
  }
};

// Every life takes the epoch after that of the last commit.
class ReusesAnEpoch final : public Parts {
 public:
  std::vector<JobRecord> Load(const Disk& disk) override {
    std::vector<JobRecord> records = disk.Load();
    for (JobRecord& record : records) record.epoch = record.state.version().epoch();
    return records;
  }
};

// A new life does not know who was there.
class ForgetsMembers final : public Unseen {
 public:
  std::vector<JobRecord> Load(const Disk& disk) override {
    std::vector<JobRecord> records = disk.Load();
    for (JobRecord& record : records) record.members.clear();
    return records;
  }
};

// A new life starts from a state that is the least bit off: one unit in the last place of one number.
class LosesABit final : public Unseen {
 public:
  std::vector<JobRecord> Load(const Disk& disk) override {
    std::vector<JobRecord> records = disk.Load();
    for (JobRecord& record : records) {
      v1::LayerState* layer = record.state.mutable_layers(0);
      layer->set_ema(0, std::nextafter(layer->ema(0), 1.0f));
    }
    return records;
  }
};

// Lets every stale step move the bias on its own.
class WindsUp final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    push->set_provisional(true);
    return Parts::Push(now, call, push, coordinator, effects);
  }
};

// Puts what is newest into the earlier state of `step`.
void Overwrite(uint64_t step, JobRecord* record) {
  for (v1::JobState& state : record->earlier) {
    if (state.version().step() == step) *state.mutable_layers() = record->state.layers();
  }
}

// A new life takes the newest state for the one from which the move began.
class LosesTheBase final : public Unseen {
 public:
  std::vector<JobRecord> Load(const Disk& disk) override {
    std::vector<JobRecord> records = disk.Load();
    for (JobRecord& record : records) {
      if (record.state.spec().lag() == 0) Overwrite(record.state.move().base_step(), &record);
    }
    return records;
  }
};

// A new life takes the newest version for the one before, which with lag 1 routes the open step.
class LosesThePrevious final : public Unseen {
 public:
  std::vector<JobRecord> Load(const Disk& disk) override {
    std::vector<JobRecord> records = disk.Load();
    for (JobRecord& record : records) {
      if (record.state.spec().lag() == 1) Overwrite(record.state.version().step() - 1, &record);
    }
    return records;
  }
};

// A new life does not know which steps have moved the bias together.
class ForgetsTheMove final : public Unseen {
 public:
  std::vector<JobRecord> Load(const Disk& disk) override {
    std::vector<JobRecord> records = disk.Load();
    for (JobRecord& record : records) record.state.clear_move();
    return records;
  }
};

// A new life lets a job that was halted move again.
class ForgetsTheHalt final : public Unseen {
 public:
  std::vector<JobRecord> Load(const Disk& disk) override {
    std::vector<JobRecord> records = disk.Load();
    for (JobRecord& record : records) record.state.clear_halt();
    return records;
  }
};

// A job that goes back stays in its epoch.
class GoesBackInItsEpoch final : public Unseen {
 public:
  void Apply(const std::vector<Write>& writes, Disk* disk) override {
    std::vector<Write> changed = writes;
    for (Write& write : changed) {
      const JobRecord* record = disk->Find(write.job);
      const bool back =
          record != nullptr && write.state != nullptr && write.state->version().step() < record->state.version().step();
      kept_[write.job] += back;
      write.epoch -= kept_[write.job];
    }
    Parts::Apply(changed, disk);
  }

 private:
  // By job: epochs that should have begun.
  std::map<std::string, uint64_t> kept_;
};

// Counts the push of whoever comes, as that of the process that holds the slot.
class CountsWhoeverPushes final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const absl::StatusOr<v1::DescribeJobResponse> job = coordinator->Describe(push->job());
    if (job.ok() && job->contributors(push->contributor()).joined()) {
      push->set_epoch(job->summary().epoch());
      push->set_incarnation(job->contributors(push->contributor()).incarnation());
    }
    return Parts::Push(now, call, push, coordinator, effects);
  }
};

// Takes a push, and has forgotten it when the step goes on without it.
class ForgetsAPushInTime final : public Parts {
 public:
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                  Effects* effects) override {
    const absl::StatusOr<v1::DescribeJobResponse> job = coordinator->Describe(push->job());
    const absl::StatusOr<v1::JobState> state = coordinator->State(push->job());
    const bool goes_on = state.ok() && push->contributor() > 0 &&
                         state->spec().missing_policy() == v1::JobSpec::MissingPolicy::COMMIT_WITHOUT;
    const bool would_count = goes_on && push->step() == job->summary().open_step() &&
                             push->epoch() == job->summary().epoch() &&
                             job->contributors(push->contributor()).joined() &&
                             job->contributors(push->contributor()).incarnation() == push->incarnation();
    return would_count ? PushResult::kAccepted : Parts::Push(now, call, push, coordinator, effects);
  }
};

// Does nothing when time passes.
class WaitsForever final : public Parts {
 public:
  void Tick(absl::Time, Coordinator*, Effects*) override {}
};

// Its deadlines pass before their time.
class IsImpatient final : public Parts {
 public:
  void Tick(absl::Time now, Coordinator* coordinator, Effects* effects) override {
    coordinator->Tick(now + absl::Milliseconds(80), effects);
  }
};

// Thanks for heartbeats, and does not listen.
class IgnoresHeartbeats final : public Parts {
 public:
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(absl::Time, const v1::HeartbeatRequest&, Coordinator*,
                                                  Effects*) override {
    return v1::HeartbeatResponse();
  }
};

// Gives nobody time to come back after a restart.
class ForgetsTheGrace final : public Parts {
 public:
  absl::Status Restore(absl::Time now, const Disk& disk, Coordinator* coordinator, Effects* effects) override {
    return Parts::Restore(now - absl::Hours(1), disk, coordinator, effects);
  }
};

// A job that wakes goes on in the epoch in which it expired.
class WakesInItsOldEpoch final : public Parts {
 public:
  absl::Status Wake(absl::Time now, const JobRecord& record, Coordinator* coordinator, Effects* effects) override {
    JobRecord old = record;
    --old.epoch;
    return Parts::Wake(now, old, coordinator, effects);
  }
};

template <typename T>
MakeParts Make() {
  return [] { return std::make_unique<T>(); };
}

}  // namespace

std::vector<PlantedFault> PlantedFaults() {
  return {
      {"SumsADuplicate", Make<SumsADuplicate>(), "is not the reference's"},
      {"SumsALatePush", Make<SumsALatePush>(), "is not the reference's"},
      {"KeepsTheReplacedOnesPush", Make<KeepsTheReplacedOnesPush>(), "is not the reference's"},
      {"KeepsAPushAcrossARewind", Make<KeepsAPushAcrossARewind>(), "is not the reference's"},
      {"ForgetsThatCountsWereLost", Make<ForgetsThatCountsWereLost>(), "is not the reference's"},
      {"NamesWhoDidNotTakePart", Make<NamesWhoDidNotTakePart>(), "is not the reference's"},
      {"TellsOneOfOtherParticipants", Make<TellsOneOfOtherParticipants>(), "is answered with another version"},
      {"IgnoresSkippedSteps", Make<IgnoresSkippedSteps>(), "is not the reference's"},
      {"IgnoresReplayedSteps", Make<IgnoresReplayedSteps>(), "is not the reference's"},
      {"AnswersWithAnOldVersion", Make<AnswersWithAnOldVersion>(), "is answered with step"},
      {"AnswersTwice", Make<AnswersTwice>(), "is answered twice"},
      {"SwallowsPushes", Make<SwallowsPushes>(), "contributors do not finish"},
      {"RepliesBeforeTheWrite", Make<RepliesBeforeTheWrite>(), "on disk is 0"},
      {"LosesCommits", Make<LosesCommits>(), "is answered and not on disk"},
      {"TearsWrites", Make<TearsWrites>(), "the disk does not know it"},
      {"ReusesAnEpoch", Make<ReusesAnEpoch>(), "is used again"},
      {"ForgetsMembers", Make<ForgetsMembers>(), "is answered FAILED_PRECONDITION"},
      {"LosesABit", Make<LosesABit>(), "is not the reference's"},
      {"WindsUp", Make<WindsUp>(), "is not the reference's"},
      {"LosesTheBase", Make<LosesTheBase>(), "is not the reference's"},
      {"LosesThePrevious", Make<LosesThePrevious>(), "is answered with another version"},
      {"GoesBackInItsEpoch", Make<GoesBackInItsEpoch>(), "in the same epoch"},
      {"ForgetsTheMove", Make<ForgetsTheMove>(), "is not the reference's"},
      {"KeepsItToItself", Make<KeepsItToItself>(), "are told"},
      {"AsksNobody", Make<AsksNobody>(), "is not the reference's"},
      {"CountsWhoeverPushes", Make<CountsWhoeverPushes>(), "does not hold its slot"},
      {"ForgetsAPushInTime", Make<ForgetsAPushInTime>(), "is not the reference's"},
      {"WaitsForever", Make<WaitsForever>(), "waits beyond its deadline"},
      {"IsImpatient", Make<IsImpatient>(), "which is alive and in time"},
      {"IgnoresHeartbeats", Make<IgnoresHeartbeats>(), "which is alive and in time"},
      {"ForgetsTheGrace", Make<ForgetsTheGrace>(), "fails in the grace"},
      {"WakesInItsOldEpoch", Make<WakesInItsOldEpoch>(), "is used again"},
      {"ForgetsTheHalt", Make<ForgetsTheHalt>(), "is not the reference's"},
  };
}

}  // namespace evenkeel::core::simulation
