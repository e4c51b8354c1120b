#include "server/core/brought_states.h"

#include <utility>

#include "base/error_detail.h"

namespace evenkeel::core {

absl::StatusOr<std::shared_ptr<const BroughtStates>> OpenBrought(const v1::Snapshot& snapshot) {
  absl::StatusOr<job::SnapshotStates> states = job::OpenSnapshot(snapshot);
  if (!states.ok()) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD, states.status().message());
  }
  return std::make_shared<const BroughtStates>(BroughtStates{*std::move(states), snapshot.checksum()});
}

}  // namespace evenkeel::core
