#include "server/core/brought_states.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"

namespace evenkeel::core {
namespace {

// Beyond them epochs and steps, which count on from it, might come round to 0.
constexpr uint64_t kMost = uint64_t{1} << 62;
// What a layer may have pending, so that steps can be added to it: half of what the rule can hold.
constexpr uint64_t kMostPending = uint64_t{1} << 47;

bool HasRoom(const v1::LayerState& layer) {
  uint64_t room = kMostPending;
  for (const uint64_t count : layer.pending_counts()) {
    if (count > room) return false;
    room -= count;
  }
  return layer.pending_tokens() <= kMostPending;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const BroughtStates>> OpenBrought(const v1::Snapshot& snapshot) {
  absl::StatusOr<job::SnapshotStates> states = job::OpenSnapshot(snapshot);
  if (!states.ok()) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD, states.status().message());
  }
  const v1::Version& version = states->state.version();
  if (version.epoch() > kMost || version.step() > kMost) {
    return ServiceError(
        absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
        absl::StrCat("snapshot is of epoch ", version.epoch(), " and step ", version.step(), "; at most 2^62 each"));
  }
  for (const v1::LayerState& layer : states->state.layers()) {
    if (HasRoom(layer)) continue;
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        absl::StrCat("snapshot has more pending at layer \"", absl::CHexEscape(layer.layer()),
                                     "\" than 2^47 counts or tokens"));
  }
  return std::make_shared<const BroughtStates>(BroughtStates{*std::move(states), snapshot.checksum()});
}

}  // namespace evenkeel::core
