#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "evenkeel/v1/snapshot.pb.h"

// The states of a job as a v1::Snapshot, the form they have on disk and in checkpoints. Pure, thread-safe.
namespace evenkeel::job {

// Of the snapshots that are written. Those from 1 to it are read.
inline constexpr uint32_t kSnapshotFormat = 2;

// What a snapshot holds.
struct SnapshotStates {
  v1::JobState state;
  // Of steps before it, ascending, with the same layers: what the job goes on with.
  std::vector<v1::JobState> earlier;
};

// With the XXH3-64 checksum of it all.
v1::Snapshot MakeSnapshot(const v1::JobState& state, absl::Span<const v1::JobState> earlier = {});

// What MakeSnapshot was given.
//   FAILED_PRECONDITION  format_version is beyond kSnapshotFormat
//   DATA_LOSS            the checksum is wrong, or a state does not parse, fails CheckStateShape or does not belong to
//                        the others
absl::StatusOr<SnapshotStates> OpenSnapshot(const v1::Snapshot& snapshot);

// The same, to and from serialised snapshots.
std::string EncodeSnapshot(const v1::JobState& state, absl::Span<const v1::JobState> earlier = {});
absl::StatusOr<SnapshotStates> DecodeSnapshot(absl::string_view bytes);

// Bytes that are to be sent on, with the errors of DecodeSnapshot.
absl::StatusOr<v1::Snapshot> ParseSnapshot(absl::string_view bytes);

}  // namespace evenkeel::job
