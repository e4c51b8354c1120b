#include "server/core/job_bench.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "job/test_messages.h"

namespace evenkeel::core {
namespace {

std::vector<std::vector<int>> OwnedOrAll(const job::JobPlan& plan, std::vector<std::vector<int>> owned) {
  if (!owned.empty()) return owned;
  std::vector<int> all;
  for (int i = 0; i < plan.layers.size(); ++i) all.push_back(i);
  return std::vector<std::vector<int>>(plan.effective.contributors(), all);
}

job::ReferenceModel::Options OptionsOf(const std::vector<std::vector<int>>& owned, uint64_t one_skip_in) {
  job::ReferenceModel::Options options;
  options.owned = owned;
  options.one_skip_in = one_skip_in;
  options.finds_violations = true;
  return options;
}

}  // namespace

JobBench::JobBench(const v1::JobSpec& spec, std::vector<std::vector<int>> owned, uint64_t one_skip_in)
    : spec_(spec),
      plan_(job::TestPlan(spec)),
      owned_(OwnedOrAll(plan_, std::move(owned))),
      options_(OptionsOf(owned_, one_skip_in)),
      model_(std::in_place, &plan_, options_) {
  Effects effects;
  job_ = Job::Create(now_, plan_, /*initial_bias=*/{}, &effects).value();
  Carry(std::move(effects));
}

void JobBench::Carry(Effects effects) {
  disk_.Apply(effects.writes);
  if (on_durable_) on_durable_(effects.writes);
  for (Answer& answer : effects.answers) {
    const bool first = answers_.emplace(answer.call, std::move(answer.reply)).second;
    EVENKEEL_CHECK(first);
  }
  for (const CommitEvent& commit : effects.commits) {
    for (const int contributor : commit.missing) deliveries_[{commit.step, contributor}].missing = true;
  }
  commits_.insert(commits_.end(), effects.commits.begin(), effects.commits.end());
  for (const LogEvent& notice : effects.notices) {
    if (absl::string_view(notice.name) == "all_joined") {
      ++times_all_joined_;
    } else {
      notices_.push_back(notice.message);
    }
  }
  violations_.insert(violations_.end(), effects.violations.begin(), effects.violations.end());
}

v1::JoinRequest JobBench::JoinOf(int contributor) const {
  v1::JoinRequest request = job::TestJoin(spec_, contributor, Usual(contributor), job_->open_step());
  for (const int row : owned_[contributor]) {
    if (plan_.layers[row].stream == 0) request.add_owned_layers(plan_.layers[row].name);
  }
  return request;
}

absl::StatusOr<v1::JoinResponse> JobBench::Join(const v1::JoinRequest& request) {
  Effects effects;
  const job::JobPlan plan = job::TestPlan(request.job());
  const History history = disk_.States(job_->name(), job_->StatesFor(now_, request));
  absl::StatusOr<v1::JoinResponse> response = job_->Join(now_, plan, request, &effects, history);
  EVENKEEL_CHECK(response.ok() || (effects.writes.empty() && effects.answers.empty()));
  Carry(std::move(effects));
  return response;
}

absl::StatusOr<v1::JoinResponse> JobBench::Join(int contributor, uint64_t incarnation) {
  v1::JoinRequest request = JoinOf(contributor);
  request.set_incarnation(incarnation);
  return Join(request);
}

void JobBench::JoinAll() {
  for (size_t i = 0; i < owned_.size(); ++i) EVENKEEL_CHECK(Join(JoinOf(i)).ok());
}

absl::Status JobBench::Leave(int contributor, uint64_t incarnation) {
  v1::LeaveRequest request;
  request.set_job(job_->name());
  request.set_contributor(contributor);
  request.set_incarnation(incarnation);
  Effects effects;
  absl::Status status = job_->Leave(now_, request, &effects);
  Carry(std::move(effects));
  return status;
}

absl::StatusOr<v1::UpdateConfigResponse> JobBench::UpdateConfig(v1::UpdateConfigRequest request) {
  request.set_job(job_->name());
  Effects effects;
  absl::StatusOr<v1::UpdateConfigResponse> response = job_->UpdateConfig(now_, request, &effects);
  EVENKEEL_CHECK(response.ok() || effects.writes.empty());
  Carry(std::move(effects));
  return response;
}

void JobBench::ExpectBalancing(const std::map<uint64_t, v1::JobSpec>& specs) {
  options_.changes.clear();
  for (const auto& [step, spec] : specs) {
    job::JobPlan& plan = options_.changes[step] = job::TestPlan(spec);
    plan.fingerprint = plan_.fingerprint;
  }
  model_.emplace(&plan_, options_);
}

void JobBench::Change(const std::function<void(job::ReferenceModel::Options*)>& change) {
  change(&options_);
  model_.emplace(&plan_, options_);
}

v1::PushRequest JobBench::PushOf(int contributor, uint64_t step) const {
  v1::PushRequest push = model_->Payload(contributor, step);
  push.set_job(job_->name());
  push.set_contributor(contributor);
  push.set_incarnation(Usual(contributor));
  push.set_epoch(job_->epoch());
  push.set_step(step);
  const uint64_t behind = 1 + plan_.effective.lag();
  push.mutable_routed_with()->set_step(step - std::min(step, behind));
  for (const VersionRecord& version : disk().versions) {
    if (version.step == push.routed_with().step()) push.mutable_routed_with()->set_epoch(version.epoch);
  }
  return push;
}

CallId JobBench::Push(v1::PushRequest push) {
  const CallId call = next_call_++;
  Effects effects;
  const auto place = std::pair(push.step(), push.contributor());
  const job::ReferenceModel::Delivery delivery = {push.routed_with().step(), push.provisional(), push.counts_lost()};
  result_ = job_->Push(now_, call, &push, &effects);
  if (result_ == PushResult::kAccepted) deliveries_[place] = delivery;
  Carry(std::move(effects));
  return call;
}

absl::StatusOr<v1::HeartbeatResponse> JobBench::Heartbeat(int contributor) {
  v1::HeartbeatRequest request;
  request.set_job(job_->name());
  request.set_contributor(contributor);
  request.set_incarnation(Usual(contributor));
  request.set_epoch(job_->epoch());
  Effects effects;
  absl::StatusOr<v1::HeartbeatResponse> response = job_->Heartbeat(now_, request, &effects);
  Carry(std::move(effects));
  return response;
}

void JobBench::Wait(absl::Duration time) {
  now_ += time;
  Effects effects;
  job_->Tick(now_, &effects);
  Carry(std::move(effects));
}

void JobBench::PushAll() {
  const uint64_t step = job_->open_step();
  for (size_t i = 0; i < owned_.size(); ++i) Push(i, step);
  EVENKEEL_CHECK(job_->committed_step() == step);
}

void JobBench::PushAllUntil(uint64_t step) {
  while (job_->committed_step() < step) PushAll();
}

absl::StatusOr<v1::Snapshot> JobBench::Snapshot(std::optional<uint64_t> step) const {
  const absl::StatusOr<std::vector<uint64_t>> steps = job_->SnapshotSteps(step);
  if (!steps.ok()) return steps.status();
  return job_->Snapshot(step, disk_.States(job_->name(), *steps));
}

absl::Status JobBench::PutState(const job::SnapshotStates& states) {
  Effects effects;
  const absl::Status status = job_->PutState(now_, states, &effects);
  Carry(std::move(effects));
  return status;
}

void JobBench::Restart() {
  Effects effects;
  absl::StatusOr<Job> job = Job::Restore(now_, disk(), &effects);
  EVENKEEL_CHECK(job.ok());
  job_ = *std::move(job);
  Carry(std::move(effects));
}

bool JobBench::IsAt(uint64_t step) const {
  v1::JobState ours = job_->State();
  ours.mutable_version()->clear_epoch();
  for (v1::Version& version : *ours.mutable_last_commit()->mutable_stale_versions()) version.clear_epoch();
  ours.clear_move();
  ours.clear_changes();
  const auto later = options_.changes.upper_bound(step);
  const job::JobPlan& plan = later == options_.changes.begin() ? plan_ : std::prev(later)->second;
  job::JobState expected = model_->Trajectory(step, deliveries_).back();
  TakeMessages(ours, &expected);
  return ours.SerializeAsString() == ToProto(plan, expected).SerializeAsString();
}

}  // namespace evenkeel::core
