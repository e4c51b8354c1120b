#include "server/core/simulation/checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/error_detail.h"
#include "google/protobuf/util/message_differencer.h"
#include "job/test_messages.h"
#include "kernels/balance/bias_hash.h"

namespace evenkeel::core::simulation {
namespace {

job::ReferenceModel::Options ModelOptions(const JobScenario& scenario) {
  job::ReferenceModel::Options options;
  options.seed = scenario.seed;
  options.owned = scenario.Owned();
  options.ranks = scenario.ranks;
  options.one_skip_in = scenario.one_skip_in;
  options.one_replay_in = scenario.one_replay_in;
  options.scale = scenario.scale;
  options.twin_of = scenario.twin_of;
  options.diverged = scenario.diverged;
  options.silent_layer = scenario.silent_layer;
  options.tells_checks = scenario.tells_checks;
  options.finds_violations = true;
  return options;
}

bool Same(const VersionRecord& a, const VersionRecord& b) {
  return a.step == b.step && a.epoch == b.epoch && a.ok == b.ok && a.state_hash == b.state_hash;
}

bool WasReplaced(const v1::Member& member, uint64_t incarnation) {
  return std::count(member.replaced().begin(), member.replaced().end(), incarnation) > 0;
}

// What `is` differs in from what it should be, field by field.
std::string Difference(const google::protobuf::Message& should_be, const google::protobuf::Message& is) {
  std::string report;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&report);
  differencer.Compare(should_be, is);
  return report;
}

}  // namespace

JobChecker::JobChecker(const JobScenario& scenario, Journal* journal)
    : scenario_(scenario),
      plan_(job::TestPlan(scenario.spec)),
      model_(&plan_, ModelOptions(scenario)),
      journal_(journal),
      attendance_(plan_.effective, journal) {}

template <typename... Words>
void JobChecker::Complain(const Words&... words) {
  journal_->Complain(scenario_.spec.name(), ": ", words...);
}

// Other counts than any other training's, or process's.
uint64_t JobChecker::DrawOf(uint64_t incarnation) const {
  return scenario_.fresh_counts ? incarnation : training_of_.at(incarnation);
}

v1::PushRequest JobChecker::Payload(int contributor, uint64_t step, uint64_t incarnation) const {
  return model_.Payload(contributor, step, DrawOf(incarnation));
}

// ---------------------------------------------------------------------------------------------------------------------
// The disk

void JobChecker::OnLife(absl::Time now, uint64_t epoch, const JobRecord& record) {
  attendance_.OnLife(now, epoch, record);
  last_used_ = now;
  if (record.state.has_move() && record.state.move().base_step() + 1 < record.state.version().step()) {
    journal_->Count("life that begins within a move");
  }
  if (epoch <= answered_epoch_) Complain("epoch ", epoch, " is used again: ", answered_epoch_, " has been heard of");
}

void JobChecker::OnDisk(const JobRecord& record) {
  if (record.epoch < disk_epoch_) Complain("the epoch on disk falls from ", disk_epoch_, " to ", record.epoch);
  const uint64_t step = record.state.version().step();
  const bool went_back = step < committed_.size() &&
                         (step + 1 < committed_.size() || record.state.SerializeAsString() != committed_[step].state);
  if (went_back && record.epoch == disk_epoch_) {
    Complain("the disk goes back to step ", step, " from step ", committed_.size() - 1, " in the same epoch");
  }
  const bool in_new_epoch = record.epoch != disk_epoch_;
  if (in_new_epoch) left_epochs_.insert(disk_epoch_);
  disk_epoch_ = record.epoch;
  if (step == committed_.size()) {
    OnNewStep(record);
  } else if (went_back && in_new_epoch) {
    OnWentBack(record);
  } else if (step + 1 != committed_.size()) {
    Complain("the disk goes to step ", step, " after ", committed_.size(), " commits, the initial bias included");
  } else if (record.state.SerializeAsString() != committed_[step].state) {
    Complain("the state of step ", step, " changes on disk");
  }
  // Beyond a breach nothing is known of what should be.
  if (!journal_->complaint().empty()) return;
  CheckVersions(record);
  CheckEarlier(record);
  CheckMembers(record);
}

void JobChecker::OnCommit(absl::Time now, const v1::JobState& state, const std::vector<ViolationEvent>& told) {
  const uint64_t step = state.version().step();
  for (int i = 0; i < scenario_.spec.contributors(); ++i) {
    if (attendance_.pushed().count(i) == 0) deliveries_[{step, i}].missing = true;
  }
  attendance_.OnCommit(now, step);
  std::vector<std::string> should_be;
  std::vector<std::string> is;
  for (const v1::Violation& violation : state.violations()) should_be.push_back(violation.SerializeAsString());
  for (const ViolationEvent& event : told) {
    if (event.job != state.spec().name() || event.step != state.version().step()) continue;
    is.push_back(event.violation.SerializeAsString());
    if (event.violation.message().empty()) Complain("a violation of step ", event.step, " says nothing");
  }
  if (is != should_be) {
    Complain("of the ", should_be.size(), " violations of step ", state.version().step(), " ", is.size(), " are told");
  }
}

void JobChecker::OnNewStep(const JobRecord& record) {
  const v1::Version& version = record.state.version();
  if (version.step() > scenario_.steps) return Complain("step ", version.step(), " is committed; nobody pushed it");
  if (version.epoch() != record.epoch) {
    Complain("step ", version.step(), " is committed in epoch ", version.epoch(), " by the life ", record.epoch);
  }
  job::JobState expected = model_.Trajectory(version.step(), deliveries_).back();
  TakeMessages(record.state, &expected);
  if (version.step() > 0) CountStep(expected);
  expected.version.set_epoch(version.epoch());
  for (v1::Version& stale : expected.stale_versions) stale.set_epoch(committed_[stale.step()].version.epoch);
  committed_.push_back({{version.step(), version.epoch(), expected.ok, job::StateHash(expected)},
                        record.state.SerializeAsString(),
                        job::CommittedVersionOf(plan_, expected)->SerializeAsString()});
  // What is kept of the move shows in the steps that join it.
  v1::JobState is = record.state;
  is.clear_move();
  const v1::JobState should_be = ToProto(plan_, expected);
  if (is.SerializeAsString() != should_be.SerializeAsString()) {
    Complain("the state of step ", version.step(), " is not the reference's: ", Difference(should_be, is));
  }
}

// The job goes on from an earlier state of its own: what it was, but for how it came about.
void JobChecker::OnWentBack(const JobRecord& record) {
  journal_->Count("job went back");
  const uint64_t step = record.state.version().step();
  v1::JobState should_be;
  should_be.ParseFromString(committed_[step].state);
  should_be.clear_move();
  should_be.mutable_last_commit()->clear_stale_versions();
  if (record.state.SerializeAsString() != should_be.SerializeAsString()) {
    Complain("the job goes back to another state of step ", step,
             " than it had: ", Difference(should_be, record.state));
  }
  for (uint64_t undone = step + 1; undone < committed_.size(); ++undone) undone_.insert(committed_[undone].reply);
  committed_.resize(step + 1);
  committed_[step].state = record.state.SerializeAsString();
  deliveries_.erase(deliveries_.lower_bound({step + 1, 0}), deliveries_.end());
}

void JobChecker::CountStep(const job::JobState& state) {
  journal_->Count(state.ok ? "step taken" : "step skipped");
  if (state.layers[0].balance.last_reason == balance::UpdateReason::kReplayed) journal_->Count("step replayed");
  if (state.staleness > 0) journal_->Count(absl::StrCat("stale step with lag ", plan_.effective.lag()));
  if (state.stale_versions.size() > 1) journal_->Count("step routed with several stale versions");
  for (const v1::Violation& violation : state.violations) {
    journal_->Count(v1::Violation::Kind_Name(violation.kind()));
  }
  if (state.halt.has_value()) journal_->Count("step of a halted job");
  for (size_t i = 0; i < state.layers.size(); ++i) {
    if (state.layers[i].balance.last_reason != balance::UpdateReason::kNever) continue;
    Complain("nothing says why layer ", i, " stayed in step ", state.version.step());
  }
  if (state.participants.size() < scenario_.layers.size()) journal_->Count("step without some");
  if (state.participants.empty()) journal_->Count("step without participants");
}

// Of the earlier states, those that are needed, as they were committed.
void JobChecker::CheckEarlier(const JobRecord& record) {
  const std::vector<uint64_t> steps = EarlierSteps(record.state, record.versions.front().step);
  if (record.earlier.size() != steps.size()) {
    return Complain("the disk keeps ", record.earlier.size(), " earlier states instead of ", steps.size());
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    if (record.earlier[i].SerializeAsString() != committed_[steps[i]].state) {
      Complain("the earlier state of step ", steps[i], " is not the one that was committed");
    }
  }
}

void JobChecker::CheckVersions(const JobRecord& record) {
  const size_t count = std::min<size_t>(committed_.size(), kKeptVersions);
  if (record.versions.size() != count) {
    return Complain("the disk keeps ", record.versions.size(), " versions instead of ", count);
  }
  for (const VersionRecord& version : record.versions) {
    if (version.step >= committed_.size() || !Same(version, committed_[version.step].version)) {
      Complain("the version of step ", version.step, " (epoch ", version.epoch, ") is not the one that was committed");
    }
  }
}

void JobChecker::CheckMembers(const JobRecord& record) {
  for (const v1::Member& member : record.members) {
    if (member.joined_after() > record.state.version().step()) {
      Complain("contributor ", member.contributor(), " joined after step ", member.joined_after(),
               ", which is not committed");
    }
    if (WasReplaced(member, member.incarnation())) {
      Complain("contributor ", member.contributor(), " is held by ", member.incarnation(), ", who was replaced");
    }
  }
}

void JobChecker::OnRest(const v1::JobState& state, const v1::DescribeJobResponse& description,
                        const JobRecord& record) {
  if (state.SerializeAsString() != record.state.SerializeAsString()) {
    Complain("memory and disk differ: ", Difference(state, record.state));
  }
  if (description.summary().epoch() != record.epoch) {
    Complain("epoch ", description.summary().epoch(), " in memory, ", record.epoch, " on disk");
  }
  for (const v1::Member& member : record.members) {
    const uint64_t incarnation = description.contributors(member.contributor()).incarnation();
    if (incarnation != member.incarnation()) {
      Complain("contributor ", member.contributor(), " is ", incarnation, " in memory, ", member.incarnation(),
               " on disk");
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Pushes and answers

void JobChecker::OnJoin(absl::Time now, const v1::JoinRequest& request, uint64_t epoch) {
  attendance_.OnJoin(now, request, epoch);
  last_used_ = now;
}

void JobChecker::OnLeave(const v1::LeaveRequest& request) {
  attendance_.OnLeave(request);
  left_.insert(request.incarnation());
}

void JobChecker::OnExpiry(absl::Time now, absl::Duration expiry, int waiting) {
  journal_->Count("job expired");
  if (now < last_used_ + expiry) Complain("the job expires ", absl::FormatDuration(now - last_used_), " after its use");
  if (waiting > 0) Complain("the job expires while ", waiting, " calls wait");
}

void JobChecker::OnAccepted(absl::Time now, const v1::PushRequest& push) {
  attendance_.OnAccepted(now, push);
  last_used_ = now;
  if (push.provisional()) journal_->Count("push provisional");
  if (push.counts_lost()) journal_->Count("push with lost counts");
  deliveries_[{push.step(), push.contributor()}] = {push.routed_with().step(), push.provisional(), push.counts_lost(),
                                                    /*missing=*/false, DrawOf(push.incarnation())};
}

void JobChecker::OnEpochAnswered(uint64_t epoch, const JobRecord* record) {
  if (record == nullptr || (epoch != record->epoch && left_epochs_.count(epoch) == 0)) {
    Complain("epoch ", epoch, " is answered; on disk is ", record == nullptr ? 0 : record->epoch);
  }
  answered_epoch_ = std::max(answered_epoch_, epoch);
}

void JobChecker::OnError(const absl::Status& status, const JobRecord* record) {
  const v1::ErrorDetail detail = DetailOf(status);
  if (detail.reason() == v1::ErrorDetail::REASON_UNSPECIFIED)
    Complain("an error without a reason: ", status.ToString());
  if (detail.epoch() != 0) OnEpochAnswered(detail.epoch(), record);
}

void JobChecker::OnVersion(const v1::CommittedVersion& version, const JobRecord* record) {
  const uint64_t step = version.version().step();
  if (undone_.count(version.SerializeAsString()) > 0) return;
  if (record == nullptr || step > record->state.version().step() || step >= committed_.size()) {
    return Complain("step ", step, " is answered and not on disk");
  }
  if (version.SerializeAsString() != committed_[step].reply) {
    Complain("step ", step,
             " is answered with another version than the one that was committed: ", version.ShortDebugString());
  }
}

void JobChecker::OnJoinAnswer(const v1::JoinRequest& request, const v1::JoinResponse& response,
                              const JobRecord* record) {
  OnEpochAnswered(response.epoch(), record);
  OnVersion(response.version(), record);
  if (response.has_previous()) OnVersion(response.previous(), record);
  if (record == nullptr) return;
  if (response.open_step() != response.version().version().step() + 1) {
    Complain("step ", response.open_step(), " is open beside version ", response.version().version().step());
  }
  if (response.effective().SerializeAsString() != plan_.effective.SerializeAsString()) {
    Complain("the effective spec is another: ", Difference(plan_.effective, response.effective()));
  }
  const auto member = std::find_if(record->members.begin(), record->members.end(),
                                   [&](const v1::Member& m) { return m.contributor() == request.contributor(); });
  // Who is answered may have been replaced, or have left, in the same batch.
  const bool remembered = member != record->members.end() &&
                          (member->incarnation() == request.incarnation() ||
                           WasReplaced(*member, request.incarnation()) || left_.count(request.incarnation()) > 0);
  if (!remembered) Complain("contributor ", request.contributor(), " has joined, and the disk does not know it");
}

void JobChecker::OnHeard(const v1::CommittedVersion& version) {
  const uint64_t step = version.version().step();
  if (step >= committed_.size()) return Complain("step ", step, " is heard of and not committed");
  if (version.valid_from() != (step == 0 ? 1 : step + 1 + plan_.effective.lag())) {
    Complain("the version of step ", step, " is valid from ", version.valid_from());
  }
  if (plan_.effective.mode() == v1::JobSpec::Mode::OBSERVE) return;
  std::vector<uint64_t> hashes;
  for (const job::LayerTable::Row& row : plan_.layers.rows()) {
    hashes.push_back(balance::HashBias(absl::MakeSpan(version.bias()).subspan(row.offset, row.num_experts)));
  }
  const uint64_t hash = balance::CombineHashes(hashes);
  if (hash != version.state_hash() || hash != committed_[step].version.state_hash) {
    Complain("the bias heard of step ", step, " hashes to ", hash, "; it is announced as ", version.state_hash(),
             " and was committed as ", committed_[step].version.state_hash);
  }
}

}  // namespace evenkeel::core::simulation
