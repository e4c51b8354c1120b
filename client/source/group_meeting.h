#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/reduce/rendezvous.h"
#include "client/source/bias_source.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/group.pb.h"

namespace evenkeel::client {

// What a rank brings to its group.
struct GroupMember {
  int place = 0;  // 0 is the leader
  uint64_t incarnation = 0;
  uint64_t fingerprint = 0;  // of what the rank was told; equal on all ranks
  uint64_t state = 0;        // checksum of the state that it goes on from, likewise where every rank commits; 0: none
};

// Who moves the bias by the sums of a group.
enum class Commits {
  kEveryRank,  // each by itself: the same sums, the same bits
  kLeader,     // the leader, and it tells the others
};

// How the ranks of a group join: the leader first where it commits, by a source of its own; then all meet, and hold
// what they were told against each other.
class GroupMeeting {
 public:
  // `spec`, its layers sorted by name, is the job as all ranks of the group were told it.
  GroupMeeting(const v1::JobSpec& spec, const GroupMember& member, Commits commits,
               std::unique_ptr<Rendezvous> rendezvous);

  bool leads() const { return member_.place == 0; }
  // Whether this rank commits, by a source of its own.
  bool commits() const { return commits_ == Commits::kEveryRank || leads(); }

  // `own` is null where this rank does not commit. As BiasSource::Join; INVALID_ARGUMENT, naming the rank, where one
  // was told another job, or begins at another step.
  absl::Status Join(BiasSource* own, uint64_t next_step, Deadline deadline, v1::JoinResponse* joined);

 private:
  v1::GroupHello Hello(uint64_t next_step, const absl::Status& status, const v1::JoinResponse& joined) const;
  absl::Status CheckHello(int place, const std::string& bytes, uint64_t next_step, v1::GroupHello* hello) const;

  const v1::JobSpec spec_;
  const GroupMember member_;
  const Commits commits_;
  const std::unique_ptr<Rendezvous> rendezvous_;
};

// `status`, as one of that rank of the group.
absl::Status WithRank(int place, const absl::Status& status);

}  // namespace evenkeel::client
