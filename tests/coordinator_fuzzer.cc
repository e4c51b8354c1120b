// Every call of BiasCoordinator that core decides, in sequences: valid messages of running jobs, changed here and
// there, restarts and time among them. After each: every error says why; the state has changed by what was written, and
// by nothing else; a commit has the sum of the counts that were accepted; and what is on disk starts again as it was.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/error_detail.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "google/protobuf/stubs/logging.h"
#include "job/snapshot.h"
#include "server/core/coordinator.h"
#include "server/core/simulation/disk.h"
#include "tests/protocol_client.h"
#include "tests/random_message.h"

namespace evenkeel::tests {
namespace {

constexpr int kMaxEvents = 48;

std::vector<v1::JobSpec> Jobs() {
  std::vector<v1::JobSpec> jobs = {SmallJob("wait", 2), SmallJobWithStreams("streams", 2), SmallJob("without", 3),
                                   SmallJob("fail", 2)};
  jobs[1].set_lag(1);
  jobs[2].set_missing_policy(v1::JobSpec::MissingPolicy::COMMIT_WITHOUT);
  jobs[2].mutable_balance()->set_min_tokens(50);
  jobs[3].set_missing_policy(v1::JobSpec::MissingPolicy::FAIL);
  jobs[3].set_invariant_policy(v1::JobSpec::InvariantPolicy::HALT);
  return jobs;
}

v1::CoordinatorConfig Config() {
  v1::CoordinatorConfig config;
  config.mutable_limits()->set_max_jobs(6);
  config.set_job_expiry_ms(0);
  return config;
}

uint64_t SumOf(const v1::PushRequest& push) {
  uint64_t sum = 0;
  for (const uint32_t low : push.routed().low()) sum += low;
  for (const uint32_t high : push.routed().high()) sum += uint64_t{high} << 32;
  return sum;
}

uint64_t SumOf(const v1::JobState& state) {
  uint64_t sum = 0;
  for (const v1::LayerState& layer : state.layers()) {
    for (const uint64_t count : layer.last_counts()) sum += count;
  }
  return sum;
}

class Sequence {
 public:
  explicit Sequence(absl::string_view bytes) : choices_(bytes), jobs_(Jobs()) {}

  void Run() {
    for (int event = 0; event < kMaxEvents && !choices_.AtEnd(); ++event) {
      now_ += absl::Milliseconds(choices_.Below(3) == 0 ? choices_.Below(60'000) : 1);
      One();
      CheckDisk();
    }
    Restart();
  }

 private:
  struct Accepted {
    uint64_t step = 0;
    uint64_t sum = 0;
  };

  void One() {
    switch (choices_.Below(16)) {
      case 0:
        return Restart();
      case 1:
        return UpdateConfig();
      case 2:
        return PutState();
      case 3:
        return GetState();
      case 4:
        return LeaveOrBeat();
      case 5:
        return Look();
      case 6:
        return Tick();
      case 7:
      case 8:
        return Join();
      case 9:
      case 10:
        return Push();
      default:
        return Step();
    }
  }

  const v1::JobSpec& AnyJob() { return jobs_[choices_.Below(jobs_.size())]; }

  // The message as it is, or with a few changes.
  template <typename Message>
  Message Changed(Message message) {
    constexpr int kMutations[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 5};
    for (int left = kMutations[choices_.Below(std::size(kMutations))]; left > 0; --left) Mutate(&choices_, &message);
    return message;
  }

  static void CheckReason(const absl::Status& status) {
    EVENKEEL_CHECK(status.ok() ||
                   (ReasonOf(status) != v1::ErrorDetail::REASON_UNSPECIFIED && !status.message().empty()));
  }

  uint64_t OpenStep(const std::string& job) {
    const auto state = coordinator_->State(job);
    return state.ok() ? state->version().step() + 1 : 1;
  }

  void Join() {
    const v1::JobSpec& job = AnyJob();
    const int contributor = static_cast<int>(choices_.Below(job.contributors()));
    const uint64_t open = OpenStep(job.name());
    v1::JoinRequest request = JoinOf(job, contributor, 1 + choices_.Below(3), open);
    const uint64_t how = choices_.Below(8);
    if (how == 0) request.set_catch_up(true);
    if (how == 1) request.set_rewind(true);
    if (how == 1 && open > 2) request.set_next_step(open - 1);
    Send(Changed(request));
  }

  void Send(const v1::JoinRequest& request) {
    const core::History history = disk_.States(request.job().name(), coordinator_->StatesFor(now_, request));
    core::Effects effects;
    const auto response = coordinator_->Join(now_, request, &effects, history);
    CheckReason(response.status());
    Carry(effects);
    if (!response.ok()) return;
    EVENKEEL_CHECK(response->open_step() == OpenStep(request.job().name()));
    joined_[{request.job().name(), request.contributor()}] = {*response, request.incarnation()};
  }

  // As the contributor may push it, if it has joined.
  v1::PushRequest PushBy(const v1::JobSpec& job, int contributor) {
    const auto& [response, incarnation] = joined_[{job.name(), contributor}];
    v1::PushRequest push = PushOf(job, contributor, incarnation, OpenStep(job.name()), response);
    if (response.has_previous()) *push.mutable_routed_with() = response.previous().version();
    return push;
  }

  void Push() {
    const v1::JobSpec& job = AnyJob();
    Send(Changed(PushBy(job, static_cast<int>(choices_.Below(job.contributors())))));
    if (choices_.Below(8) == 0) coordinator_->Cancel(job.name(), call_);
  }

  // All join and push, most of them as they should.
  void Step() {
    const v1::JobSpec& job = AnyJob();
    for (int contributor = 0; contributor < job.contributors(); ++contributor) {
      const uint64_t before = joined_[{job.name(), contributor}].second;
      Send(Changed(JoinOf(job, contributor, before == 0 ? 1 : before, OpenStep(job.name()))));
    }
    for (int contributor = 0; contributor < job.contributors(); ++contributor) {
      Send(Changed(PushBy(job, contributor)));
    }
  }

  void Send(v1::PushRequest push) {
    const v1::PushRequest sent = push;
    core::Effects effects;
    const core::PushResult result = coordinator_->Push(now_, ++call_, &push, &effects);
    if (result == core::PushResult::kAccepted) {
      accepted_[{sent.job(), sent.contributor()}] = {sent.step(), sent.counts_lost() ? 0 : SumOf(sent)};
    }
    if (result == core::PushResult::kRefused) {
      EVENKEEL_CHECK(effects.answers.back().call == call_ && !effects.answers.back().reply.ok());
    }
    Carry(effects);
  }

  void LeaveOrBeat() {
    const v1::JobSpec& job = AnyJob();
    const int contributor = static_cast<int>(choices_.Below(job.contributors()));
    const auto joined = joined_.find({job.name(), contributor});
    core::Effects effects;
    if (choices_.Below(2) == 0) {
      v1::HeartbeatRequest beat;
      beat.set_job(job.name());
      beat.set_contributor(contributor);
      if (joined != joined_.end()) beat.set_incarnation(joined->second.second);
      if (joined != joined_.end()) beat.set_epoch(joined->second.first.epoch());
      CheckReason(coordinator_->Heartbeat(now_, Changed(beat), &effects).status());
    } else {
      v1::LeaveRequest leave;
      leave.set_job(job.name());
      leave.set_contributor(contributor);
      if (joined != joined_.end()) leave.set_incarnation(joined->second.second);
      CheckReason(coordinator_->Leave(now_, Changed(leave), &effects));
    }
    Carry(effects);
  }

  void UpdateConfig() {
    v1::UpdateConfigRequest request;
    request.set_job(AnyJob().name());
    request.mutable_balance()->set_rate(0.5f);
    if (choices_.Below(4) == 0) request.set_mode(v1::JobSpec::Mode::FROZEN);
    request = Changed(request);
    core::Effects effects;
    CheckReason(coordinator_->UpdateConfig(now_, request, &effects).status());
    Carry(effects);
  }

  void GetState() {
    v1::GetStateRequest request;
    request.set_job(AnyJob().name());
    if (choices_.Below(2) == 0) request.set_step(choices_.Below(8));
    request = Changed(request);
    const auto steps = coordinator_->StatesFor(request);
    CheckReason(steps.status());
    if (!steps.ok()) return;
    const auto response = coordinator_->GetState(request, disk_.States(request.job(), *steps));
    CheckReason(response.status());
    if (response.ok()) EVENKEEL_CHECK(job::OpenSnapshot(response->snapshot()).ok());
  }

  // Of any job, with the state of any, whose checksum is right.
  void PutState() {
    v1::PutStateRequest request;
    request.set_job(choices_.Below(8) == 0 ? "put" : AnyJob().name());
    const auto state = coordinator_->State(AnyJob().name());
    v1::JobState brought = state.ok() ? *state : v1::JobState();
    brought.clear_move();
    *request.mutable_snapshot() = job::MakeSnapshot(Changed(brought));
    core::Effects effects;
    const auto response = coordinator_->PutState(now_, request, &effects);
    CheckReason(response.status());
    Carry(effects);
  }

  void Look() {
    const v1::ListJobsResponse list = coordinator_->List();
    for (const v1::JobSummary& job : list.jobs()) {
      EVENKEEL_CHECK(coordinator_->Describe(job.name()).ok());
    }
    CheckReason(coordinator_->Describe(choices_.Text(300)).status());
  }

  void Tick() {
    core::Effects effects;
    coordinator_->Tick(now_, &effects);
    Carry(effects);
  }

  void Restart() {
    std::map<std::string, std::string> before;
    const v1::ListJobsResponse list = coordinator_->List();
    for (const v1::JobSummary& job : list.jobs()) {
      before[job.name()] = coordinator_->State(job.name())->SerializeAsString();
    }
    coordinator_ = std::make_unique<core::Coordinator>(Config());
    core::Effects effects;
    const absl::Status status = coordinator_->Restore(now_, disk_.Load(), &effects);
    EVENKEEL_CHECK(status.ok());
    disk_.Apply(effects.writes);
    accepted_.clear();
    EVENKEEL_CHECK(static_cast<size_t>(coordinator_->List().jobs_size()) == before.size());
    for (const auto& [job, state] : before) EVENKEEL_CHECK(coordinator_->State(job)->SerializeAsString() == state);
  }

  // Does what the effects ask for, and checks them.
  void Carry(const core::Effects& effects) {
    disk_.Apply(effects.writes);
    for (const core::Write& write : effects.writes) CheckReadable(write);
    for (const core::Answer& answer : effects.answers) CheckReason(answer.reply.status());
    for (const core::CommitEvent& commit : effects.commits) CheckCommit(commit, effects);
    for (const core::Answer& answer : effects.answers) {
      // What was answered is on disk by now.
      if (answer.reply.ok()) EVENKEEL_CHECK((*answer.reply)->durable_step() >= (*answer.reply)->version().step());
    }
  }

  // The next life reads what this one wrote.
  static void CheckReadable(const core::Write& write) {
    if (write.state == nullptr) return;
    EVENKEEL_CHECK(job::DecodeSnapshot(job::EncodeSnapshot(*write.state, write.earlier)).ok());
  }

  void CheckCommit(const core::CommitEvent& commit, const core::Effects& effects) {
    const v1::JobState* committed = nullptr;
    for (const core::Write& write : effects.writes) {
      const bool is_it =
          write.job == commit.job && write.commit.has_value() && write.state->version().step() == commit.step;
      if (is_it) committed = write.state.get();
    }
    EVENKEEL_CHECK(committed != nullptr);
    uint64_t sum = 0;
    for (const int contributor : committed->last_commit().participants()) {
      const Accepted& accepted = accepted_[{commit.job, contributor}];
      EVENKEEL_CHECK(accepted.step == commit.step);
      sum += accepted.sum;
    }
    EVENKEEL_CHECK(sum == SumOf(*committed));
  }

  // Memory and disk say the same of every job.
  void CheckDisk() {
    const v1::ListJobsResponse list = coordinator_->List();
    EVENKEEL_CHECK(static_cast<size_t>(list.jobs_size()) == disk_.Load().size());
    for (const v1::JobSummary& job : list.jobs()) {
      const core::JobRecord* const record = disk_.Find(job.name());
      EVENKEEL_CHECK(record != nullptr && record->epoch == job.epoch());
      EVENKEEL_CHECK(coordinator_->State(job.name())->SerializeAsString() == record->state.SerializeAsString());
    }
  }

  Choices choices_;
  const std::vector<v1::JobSpec> jobs_;
  std::unique_ptr<core::Coordinator> coordinator_ = std::make_unique<core::Coordinator>(Config());
  core::simulation::Disk disk_;
  absl::Time now_ = absl::UnixEpoch();
  core::CallId call_ = 0;
  // By job and contributor.
  std::map<std::pair<std::string, int>, std::pair<v1::JoinResponse, uint64_t>> joined_;
  std::map<std::pair<std::string, int>, Accepted> accepted_;
};

}  // namespace
}  // namespace evenkeel::tests

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  evenkeel::tests::Sequence(absl::string_view(reinterpret_cast<const char*>(data), size)).Run();
  return 0;
}
