#include "server/store/snapshot_blob.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/store/state_shape.h"
#include "xxhash.h"

namespace evenkeel::store {

v1::Snapshot MakeSnapshot(const v1::JobState& state) {
  v1::Snapshot snapshot;
  snapshot.set_format_version(kSnapshotFormat);
  state.SerializeToString(snapshot.mutable_state());
  snapshot.set_checksum(XXH3_64bits(snapshot.state().data(), snapshot.state().size()));
  return snapshot;
}

absl::StatusOr<v1::JobState> OpenSnapshot(const v1::Snapshot& snapshot) {
  if (snapshot.format_version() != kSnapshotFormat) {
    return absl::FailedPreconditionError(absl::StrCat("snapshot.format_version is ", snapshot.format_version(),
                                                      "; this program reads ", kSnapshotFormat));
  }
  const uint64_t checksum = XXH3_64bits(snapshot.state().data(), snapshot.state().size());
  if (checksum != snapshot.checksum()) {
    return absl::DataLossError(absl::StrFormat("snapshot.checksum is %016x, that of its %d bytes of state %016x",
                                               snapshot.checksum(), snapshot.state().size(), checksum));
  }
  v1::JobState state;
  if (!state.ParseFromString(snapshot.state())) {
    return absl::DataLossError(absl::StrCat("snapshot.state, of ", snapshot.state().size(), " bytes, is no JobState"));
  }
  const absl::Status shape = CheckStateShape(state);
  if (!shape.ok()) return absl::DataLossError(absl::StrCat("snapshot.state: ", shape.message()));
  return state;
}

std::string EncodeSnapshot(const v1::JobState& state) { return MakeSnapshot(state).SerializeAsString(); }

absl::StatusOr<v1::JobState> DecodeSnapshot(absl::string_view bytes) {
  v1::Snapshot snapshot;
  if (!snapshot.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(absl::StrCat(bytes.size(), " bytes are no Snapshot"));
  }
  return OpenSnapshot(snapshot);
}

}  // namespace evenkeel::store
