#pragma once

#include <memory>
#include <utility>

#include "client/source/bias_source.h"
#include "client/source/group_meeting.h"

namespace evenkeel::client {

// A rank of a group that adds up its counts, and tells of versions, on its device: what is pushed are the sums of the
// group already. Here it joins, and commits where it has to.
class DeviceGroupSource : public BiasSource {
 public:
  // As GroupMeeting; `own` is what this rank commits by, and null where it does not.
  DeviceGroupSource(const v1::JobSpec& spec, const GroupMember& member, Commits commits,
                    std::unique_ptr<BiasSource> own, std::unique_ptr<Rendezvous> rendezvous)
      : meeting_(spec, member, commits, std::move(rendezvous)), own_(std::move(own)) {}

  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override {
    return meeting_.Join(own_.get(), next_step, deadline, joined);
  }
  void Push(StepCountsPtr counts) override {
    if (own_ != nullptr) own_->Push(std::move(counts));
  }
  absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) override {
    if (own_ == nullptr) return false;
    return own_->Await(step, deadline, version);
  }
  absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) override {
    if (own_ == nullptr) return false;
    return own_->Leave(deadline, version);
  }
  absl::StatusOr<v1::Snapshot> Save(uint64_t step, Deadline deadline) override {
    return own_ != nullptr ? own_->Save(step, deadline) : BiasSource::Save(step, deadline);
  }
  Backlog backlog() override { return own_ != nullptr ? own_->backlog() : Backlog(); }

 private:
  GroupMeeting meeting_;
  const std::unique_ptr<BiasSource> own_;
};

}  // namespace evenkeel::client
