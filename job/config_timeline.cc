#include "job/config_timeline.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "config/balance_config.h"
#include "google/protobuf/util/message_differencer.h"
#include "job/kept_versions.h"

namespace evenkeel::job {
namespace {

using Overrides = google::protobuf::RepeatedPtrField<v1::LayerOverride>;

absl::Status Invalid(absl::string_view message) {
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD, message);
}

absl::Status CheckFromStep(uint64_t from_step, uint64_t open_step) {
  if (from_step >= open_step) return absl::OkStatus();
  return ServiceError(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::STEP_BEHIND,
                      absl::StrCat("from_step is ", from_step, ", which is committed; a change can hold from step ",
                                   open_step, " on, which is open"));
}

// The bias of a job that observes is nobody's; the workers of the others rely on getting one.
absl::Status CheckMode(v1::JobSpec::Mode::Kind ours, v1::JobSpec::Mode::Kind wanted) {
  if (wanted == v1::JobSpec::Mode::KIND_UNSPECIFIED) return absl::OkStatus();
  const std::string name = v1::JobSpec::Mode::Kind_Name(wanted);
  if (wanted != v1::JobSpec::Mode::BALANCE && wanted != v1::JobSpec::Mode::FROZEN) {
    return Invalid(
        absl::StrCat("mode is ", name.empty() ? absl::StrCat(wanted) : name, "; BALANCE and FROZEN are allowed"));
  }
  if (ours != v1::JobSpec::Mode::OBSERVE) return absl::OkStatus();
  return Invalid(absl::StrCat("mode is ", name, ", but the job was made to OBSERVE, and does so for ever"));
}

Overrides Overridden(const Overrides& base, const Overrides& patch) {
  std::map<std::string, v1::BalanceConfig> by_layer;
  for (const v1::LayerOverride& layer : base) by_layer[layer.layer()] = layer.balance();
  for (const v1::LayerOverride& layer : patch) {
    v1::BalanceConfig& balance = by_layer[layer.layer()];
    balance = config::Overridden(balance, layer.balance());
  }
  Overrides result;
  for (const auto& [name, balance] : by_layer) {
    v1::LayerOverride* layer = result.Add();
    layer->set_layer(name);
    *layer->mutable_balance() = balance;
  }
  return result;
}

// Steps and notes aside.
bool SameSettings(v1::ConfigChange a, v1::ConfigChange b) {
  for (v1::ConfigChange* change : {&a, &b}) {
    change->clear_from_step();
    change->clear_note();
  }
  return google::protobuf::util::MessageDifferencer::Equals(a, b);
}

// A change of an earlier release says nothing of who is missing: it is as the job was made.
v1::ConfigChange Whole(v1::ConfigChange change, const v1::JobSpec& made) {
  if (change.has_membership()) return change;
  *change.mutable_membership() = made.membership();
  change.set_missing_policy(made.missing_policy());
  return change;
}

absl::Status Damaged(size_t index, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("changes[", index, "]", what));
}

}  // namespace

ConfigTimeline::ConfigTimeline(const JobPlan& plan) : changes_({ChangeOf(plan.effective)}) {}

absl::StatusOr<ConfigTimeline> ConfigTimeline::FromProto(
    const JobPlan& plan, const google::protobuf::RepeatedPtrField<v1::ConfigChange>& changes) {
  if (changes.empty()) return ConfigTimeline(plan);
  ConfigTimeline timeline;
  uint64_t least = 0;
  for (const v1::ConfigChange& change : changes) {
    const size_t index = timeline.changes_.size();
    if (index == 0 ? change.from_step() != 0 : change.from_step() < least) {
      return Damaged(index, absl::StrCat(".from_step is ", change.from_step(), "; they ascend from 0"));
    }
    const absl::Status status = WithChange(plan, change).status();
    if (!status.ok()) return Damaged(index, absl::StrCat(": ", status.message()));
    least = change.from_step() + 1;
    timeline.changes_.push_back(Whole(change, plan.effective));
  }
  return timeline;
}

google::protobuf::RepeatedPtrField<v1::ConfigChange> ConfigTimeline::ToProto() const {
  if (changes_.size() == 1) return {};
  return {changes_.begin(), changes_.end()};
}

const v1::ConfigChange& ConfigTimeline::At(uint64_t step) const {
  const auto later = std::find_if(changes_.begin() + 1, changes_.end(),
                                  [step](const v1::ConfigChange& change) { return change.from_step() > step; });
  return *(later - 1);
}

absl::Status ConfigTimeline::Add(const JobPlan& plan, const v1::ConfigChange& patch, uint64_t open_step) {
  const uint64_t from_step = patch.from_step() == 0 ? open_step : patch.from_step();
  EVENKEEL_RETURN_IF_ERROR(CheckFromStep(from_step, open_step));
  const v1::ConfigChange& base = At(from_step);
  EVENKEEL_RETURN_IF_ERROR(CheckMode(base.mode(), patch.mode()));
  v1::ConfigChange change = base;
  change.set_from_step(from_step);
  change.set_note(patch.note());
  *change.mutable_balance() = config::Overridden(base.balance(), patch.balance());
  *change.mutable_overrides() = Overridden(base.overrides(), patch.overrides());
  if (patch.mode() != v1::JobSpec::Mode::KIND_UNSPECIFIED) change.set_mode(patch.mode());
  change.mutable_membership()->MergeFrom(patch.membership());
  if (patch.missing_policy() != v1::JobSpec::MissingPolicy::KIND_UNSPECIFIED) {
    change.set_missing_policy(patch.missing_policy());
  }
  EVENKEEL_ASSIGN_OR_RETURN(const JobPlan planned, WithChange(plan, change));
  *change.mutable_balance() = planned.effective.balance();
  return SameSettings(change, base) ? absl::OkStatus() : Put(std::move(change), open_step);
}

absl::Status ConfigTimeline::Undo(uint64_t from_step, const std::string& note, uint64_t open_step) {
  if (from_step == 0) from_step = open_step;
  EVENKEEL_RETURN_IF_ERROR(CheckFromStep(from_step, open_step));
  if (changes_.size() == 1) return Invalid("undo: the config was never changed, or all changes have been taken back");
  if (changes_.back().from_step() >= open_step) {
    changes_.pop_back();
    return absl::OkStatus();
  }
  v1::ConfigChange before = changes_[changes_.size() - 2];
  before.set_from_step(from_step);
  before.set_note(note);
  return Put(std::move(before), open_step);
}

absl::Status ConfigTimeline::Put(v1::ConfigChange change, uint64_t open_step) {
  const auto from_that_step = [&](const v1::ConfigChange& other) { return other.from_step() == change.from_step(); };
  const auto same = std::find_if(changes_.begin() + 1, changes_.end(), from_that_step);
  if (same != changes_.end()) {
    *same = std::move(change);
    return absl::OkStatus();
  }
  if (changes_.size() == kMaxChanges) {
    // The oldest after the first holds until the next begins.
    const uint64_t oldest_kept = open_step - std::min<uint64_t>(open_step, kKeptVersions);
    if (changes_[2].from_step() > oldest_kept) {
      return ServiceError(
          absl::StatusCode::kResourceExhausted, v1::ErrorDetail::LIMIT_EXCEEDED,
          absl::StrCat("the config has ", kMaxChanges, " changes that are still to come or were in force ",
                       "within the last ", kKeptVersions, " steps; take some back, or wait"));
    }
    changes_.erase(changes_.begin() + 1);
  }
  const auto later = [&](const v1::ConfigChange& other) { return other.from_step() > change.from_step(); };
  changes_.insert(std::find_if(changes_.begin(), changes_.end(), later), std::move(change));
  return absl::OkStatus();
}

JobPlan PlanAt(JobPlan plan, const ConfigTimeline& timeline, uint64_t step) {
  absl::StatusOr<JobPlan> changed = WithChange(std::move(plan), timeline.At(step));
  EVENKEEL_CHECK(changed.ok());  // held against this job when it came into the timeline
  return *std::move(changed);
}

}  // namespace evenkeel::job
