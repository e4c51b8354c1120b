#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"

namespace evenkeel::tests {

// The last contributor of a job, by the protocol alone: it counts nothing, is always on time, holds the job up for as
// long as the test likes, and sees every version.
class Bystander {
 public:
  explicit Bystander(const v1::JobSpec& job) : job_(job) {}

  // To a coordinator, for the next step; again after each of its restarts.
  absl::Status Join(std::unique_ptr<v1::BiasCoordinator::Stub> stub);

  // Pushes the next step, and gives its version when all others have pushed it too.
  absl::StatusOr<v1::CommittedVersion> Step();
  absl::Status GoTo(uint64_t step);

  uint64_t next_step() const { return newest_.step() + 1; }

 private:
  const v1::JobSpec job_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  uint64_t epoch_ = 0;
  v1::Version newest_;
  v1::Version due_;  // for the next step
};

}  // namespace evenkeel::tests
