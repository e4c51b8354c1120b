#include "server/core/job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "job/initial_bias.h"
#include "server/core/job_events.h"

namespace evenkeel::core {
namespace {

absl::Status Damaged(const JobRecord& record, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("job \"", absl::CHexEscape(record.state.spec().name()), "\": ", what));
}

// The kept versions end at the state's own, without a gap.
absl::Status CheckVersions(const JobRecord& record) {
  const v1::Version& newest = record.state.version();
  const std::vector<VersionRecord>& versions = record.versions;
  bool fits = !versions.empty() && versions.back().step == newest.step() && versions.back().epoch == newest.epoch() &&
              newest.epoch() <= record.epoch;
  for (size_t i = 1; i < versions.size(); ++i) fits = fits && versions[i].step == versions[i - 1].step + 1;
  if (fits) return absl::OkStatus();
  return Damaged(record, absl::StrCat("the ", versions.size(), " kept versions do not lead to step ", newest.step(),
                                      " of epoch ", newest.epoch(), " in epoch ", record.epoch));
}

}  // namespace

Job::Job(job::JobPlan plan, job::JobState state)
    : plan_(std::move(plan)),
      timeline_(plan_),
      state_(std::move(state)),
      move_(job::InitialMove(plan_, state_)),
      reply_(job::CommittedVersionOf(plan_, state_)),
      sums_(plan_.layers) {
  slots_.resize(plan_.effective.contributors());
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i].member.set_contributor(i);
}

v1::JobState Job::State() const {
  v1::JobState message = ToProto(plan_, state_);
  if (move_.routed_with.epoch() != 0) *message.mutable_move() = ToProto(plan_, state_, move_);
  *message.mutable_changes() = timeline_.ToProto();
  return message;
}

absl::StatusOr<Job> Job::Create(absl::Time now, job::JobPlan plan, absl::Span<const float> initial_bias,
                                Effects* effects) {
  job::JobState state = job::InitialJobState(plan);
  EVENKEEL_RETURN_IF_ERROR(job::SetInitialBias(plan, initial_bias, &state));
  Job job(std::move(plan), std::move(state));
  job.now_ = job.last_used_ = now;
  job.epoch_ = job.state_.version.epoch();
  job.versions_ = {RecordOf(job.state_)};
  effects->writes.push_back(
      {job.name(), std::make_shared<const v1::JobState>(job.State()), job.epoch_, job.versions_, /*members=*/{}});
  return job;
}

absl::StatusOr<Job> Job::Restore(absl::Time now, const JobRecord& record, Effects* effects) {
  absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(record.state.spec(), record.state.fingerprint());
  if (!plan.ok()) return Damaged(record, plan.status().message());
  absl::StatusOr<job::JobState> state = FromProto(*plan, record.state);
  if (!state.ok()) return Damaged(record, state.status().message());
  absl::StatusOr<job::ConfigTimeline> timeline = job::ConfigTimeline::FromProto(*plan, record.state.changes());
  if (!timeline.ok()) return Damaged(record, timeline.status().message());
  EVENKEEL_RETURN_IF_ERROR(CheckVersions(record));
  const uint64_t hash = job::StateHash(*state);
  if (hash != record.versions.back().state_hash) {
    return Damaged(record, absl::StrFormat("the bias after step %d hashes to %016x, and was committed as %016x",
                                           state->version.step(), hash, record.versions.back().state_hash));
  }
  Job job(*std::move(plan), *std::move(state));
  job.now_ = job.last_used_ = now;
  job.timeline_ = *std::move(timeline);
  job.BeginGrace();
  job.epoch_ = record.epoch + 1;
  job.versions_ = record.versions;
  EVENKEEL_RETURN_IF_ERROR(job.RestoreEarlier(record));
  for (const v1::Member& member : record.members) {
    if (member.contributor() < 0 || member.contributor() >= static_cast<int>(job.slots_.size())) {
      return Damaged(record, absl::StrCat("a member is contributor ", member.contributor(), " of ", job.slots_.size()));
    }
    job.slots_[member.contributor()].member = member;
  }
  effects->writes.push_back({job.name(), /*state=*/nullptr, job.epoch_, /*versions=*/{}, /*members=*/{}});
  return job;
}

// What the earlier states of the record are kept for.
absl::Status Job::RestoreEarlier(const JobRecord& record) {
  const v1::JobState& newest = record.state;
  for (const uint64_t step : EarlierSteps(newest, versions_.front().step)) {
    const auto found = std::find_if(record.earlier.begin(), record.earlier.end(),
                                    [step](const v1::JobState& state) { return state.version().step() == step; });
    if (found == record.earlier.end()) {
      return Damaged(record, absl::StrCat("the state of step ", step, " is missing, which that of step ",
                                          newest.version().step(), " needs"));
    }
    const absl::StatusOr<job::JobPlan> plan = job::WithChange(plan_, job::ChangeOf(found->spec()));
    if (!plan.ok()) return Damaged(record, plan.status().message());
    absl::StatusOr<job::JobState> state = FromProto(*plan, *found);
    if (!state.ok()) return Damaged(record, state.status().message());
    if (plan_.effective.lag() == 1 && step + 1 == committed_step()) previous_ = job::CommittedVersionOf(*plan, *state);
    if (!newest.has_move() || step != newest.move().base_step()) continue;
    absl::StatusOr<job::Move> move =
        MoveFromProto(plan_, state_, newest.move(), std::make_shared<const job::JobState>(*std::move(state)));
    if (!move.ok()) return Damaged(record, move.status().message());
    move_ = *std::move(move);
  }
  return absl::OkStatus();
}

absl::Status Job::Error(absl::StatusCode code, Reason::Reason reason, absl::string_view message) const {
  v1::ErrorDetail detail;
  detail.set_reason(reason);
  detail.set_open_step(open_step());
  detail.set_epoch(epoch_);
  return ServiceError(code, detail, absl::StrCat("job \"", name(), "\": ", message));
}

absl::Status Job::WithJob(const absl::Status& error) const {
  return Error(error.code(), ReasonOf(error), error.message());
}

void Job::Cancel(CallId call) {
  for (Slot& slot : slots_) {
    slot.calls.erase(std::remove(slot.calls.begin(), slot.calls.end(), call), slot.calls.end());
  }
}

void Job::AnswerAll(const absl::Status& status, Effects* effects) {
  for (Slot& slot : slots_) {
    for (const CallId call : slot.calls) effects->answers.push_back({call, status});
    slot.calls.clear();
  }
}

}  // namespace evenkeel::core
