#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/coordinator.h"
#include "server/core/simulation/disk.h"

namespace evenkeel::core::simulation {

// How the simulated server uses what it is made of: as the real one does. Subclasses do it wrong, so that one sees
// whether the simulator notices.
class Parts {
 public:
  virtual ~Parts() = default;

  virtual std::vector<JobRecord> Load(const Disk& disk) { return disk.Load(); }

  virtual void Apply(const std::vector<Write>& writes, Disk* disk) { disk->Apply(writes); }

  virtual PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Coordinator* coordinator,
                          Effects* effects) {
    return coordinator->Push(now, call, push, effects);
  }

  virtual absl::Status Restore(absl::Time now, const Disk& disk, Coordinator* coordinator, Effects* effects) {
    return coordinator->Restore(now, Load(disk), effects);
  }

  virtual absl::StatusOr<v1::HeartbeatResponse> Heartbeat(absl::Time now, const v1::HeartbeatRequest& request,
                                                          Coordinator* coordinator, Effects* effects) {
    return coordinator->Heartbeat(now, request, effects);
  }

  virtual void Tick(absl::Time now, Coordinator* coordinator, Effects* effects) { coordinator->Tick(now, effects); }

  virtual absl::Status Wake(absl::Time now, const JobRecord& record, Coordinator* coordinator, Effects* effects) {
    return coordinator->Wake(now, record, effects);
  }

  virtual bool AnswersBeforeWriting() const { return false; }

  // Whether the coordinator's memory is held against the disk after each batch. Without it only what contributors see
  // and what is on disk can tell that something is wrong.
  virtual bool ComparesMemoryWithDisk() const { return true; }
};

}  // namespace evenkeel::core::simulation
