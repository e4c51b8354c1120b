#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "evenkeel/v1/snapshot.pb.h"

// A JobState as a v1::Snapshot, the form it has on disk and in checkpoints. Pure, thread-safe.
namespace evenkeel::store {

// Of the snapshots that are written, and the only one that is read.
inline constexpr uint32_t kSnapshotFormat = 1;

// `state` with its XXH3-64 checksum.
v1::Snapshot MakeSnapshot(const v1::JobState& state);

// The state that MakeSnapshot was given.
//   FAILED_PRECONDITION  format_version is not kSnapshotFormat
//   DATA_LOSS            the checksum is wrong, or the state does not parse or fails CheckStateShape
absl::StatusOr<v1::JobState> OpenSnapshot(const v1::Snapshot& snapshot);

// The same, to and from serialised snapshots.
std::string EncodeSnapshot(const v1::JobState& state);
absl::StatusOr<v1::JobState> DecodeSnapshot(absl::string_view bytes);

}  // namespace evenkeel::store
