#pragma once

#include <string>

#include "client/link/link.h"
#include "client/source/bias_source.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// A coordinator commits: every step is a push over the link. Errors are those of link.h.
class CoordinatorSource : public BiasSource {
 public:
  // To `coordinator` (host:port). `join` is complete but for next_step, its layers sorted by name.
  CoordinatorSource(std::string coordinator, const v1::JoinRequest& join);

  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCounts* counts) override;
  absl::Status Await(Deadline deadline, v1::CommittedVersion* version) override;
  absl::Status Leave(Deadline deadline) override;

 private:
  // Kept from step to step for its memory. The link's while a push is under way.
  v1::PushRequest push_;
  // The last member, for its thread reads push_.
  Link link_;
};

// Writes `counts` into `push`: everything that is a step's own. short_slots and high words are left out where all are
// 0. Reuses the memory of `push`.
void PackStep(const StepCounts& counts, v1::PushRequest* push);

}  // namespace evenkeel::client
