#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"

namespace evenkeel::tests {

// A job of `contributors` with two layers, "a" (4 experts, top 1) and "b" (8 experts, top 2).
v1::JobSpec SmallJob(const std::string& name, int contributors);
// Likewise, with two streams at "a", and "b" tells what a capacity limit left.
v1::JobSpec SmallJobWithStreams(const std::string& name, int contributors);

v1::JoinRequest JoinOf(const v1::JobSpec& job, int contributor, uint64_t incarnation, uint64_t next_step);

// What `contributor` counts in `step`: fixed, different for every pair, and consistent with the layers of SmallJob.
v1::PushRequest PushOf(const v1::JobSpec& job, int contributor, uint64_t incarnation, uint64_t step,
                       const v1::JoinResponse& joined);

// One blocking call each, with a deadline.
absl::StatusOr<v1::JoinResponse> Join(v1::BiasCoordinator::Stub* stub, const v1::JoinRequest& request);
absl::StatusOr<v1::CommittedVersion> Push(v1::BiasCoordinator::Stub* stub, const v1::PushRequest& request,
                                          absl::Duration timeout = absl::Seconds(30));
std::future<absl::StatusOr<v1::CommittedVersion>> PushLater(v1::BiasCoordinator::Stub* stub, v1::PushRequest request);

// Waits until the coordinator says that exactly these contributors have pushed the open step.
absl::Status AwaitPushed(v1::BiasCoordinator::Stub* stub, const std::string& job, const std::vector<int>& contributors);

}  // namespace evenkeel::tests
