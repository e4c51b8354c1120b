#include "tools/state_call.h"

#include <utility>

#include "base/status_macros.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "job/snapshot.h"

namespace evenkeel::tools {

absl::StatusOr<v1::JobState> CallForState(CoordinatorCaller* caller, const std::string& job) {
  v1::GetStateRequest request;
  request.set_job(job);
  v1::GetStateResponse response;
  EVENKEEL_RETURN_IF_ERROR(caller->Call(&v1::BiasCoordinator::Stub::GetState, request, &response));
  EVENKEEL_ASSIGN_OR_RETURN(job::SnapshotStates states, job::OpenSnapshot(response.snapshot()));
  return std::move(states.state);
}

}  // namespace evenkeel::tools
