#include "job/snapshot.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "job/state_shape.h"
#include "xxhash.h"

namespace evenkeel::job {
namespace {

uint64_t Checksum(const v1::Snapshot& snapshot) {
  if (snapshot.earlier().empty()) return XXH3_64bits(snapshot.state().data(), snapshot.state().size());
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> sum(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(sum.get());
  XXH3_64bits_update(sum.get(), snapshot.state().data(), snapshot.state().size());
  for (const std::string& bytes : snapshot.earlier()) XXH3_64bits_update(sum.get(), bytes.data(), bytes.size());
  return XXH3_64bits_digest(sum.get());
}

absl::Status CheckFormat(const v1::Snapshot& snapshot) {
  if (snapshot.format_version() == 0 || snapshot.format_version() > kSnapshotFormat) {
    return absl::FailedPreconditionError(absl::StrCat("snapshot.format_version is ", snapshot.format_version(),
                                                      "; this program reads 1 to ", kSnapshotFormat));
  }
  const uint64_t checksum = Checksum(snapshot);
  if (checksum == snapshot.checksum()) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat("snapshot.checksum is %016x, that of its %d bytes of state %016x",
                                             snapshot.checksum(), snapshot.state().size(), checksum));
}

absl::StatusOr<v1::JobState> ParseState(const std::string& field, const std::string& bytes) {
  v1::JobState state;
  if (!state.ParseFromString(bytes)) {
    return absl::DataLossError(absl::StrCat(field, ", of ", bytes.size(), " bytes, is no JobState"));
  }
  const absl::Status shape = CheckStateShape(state);
  if (!shape.ok()) return absl::DataLossError(absl::StrCat(field, ": ", shape.message()));
  return state;
}

bool HasLayersOf(const v1::JobState& a, const v1::JobState& b) {
  bool same = a.layers_size() == b.layers_size();
  for (int i = 0; same && i < a.layers_size(); ++i) {
    same = a.layers(i).layer() == b.layers(i).layer() && a.layers(i).stream() == b.layers(i).stream() &&
           a.layers(i).bias_size() == b.layers(i).bias_size();
  }
  return same;
}

// That the earlier states lead to the newest.
absl::Status CheckEarlier(const SnapshotStates& states) {
  for (size_t i = 0; i < states.earlier.size(); ++i) {
    const v1::JobState& earlier = states.earlier[i];
    const v1::JobState& next = i + 1 < states.earlier.size() ? states.earlier[i + 1] : states.state;
    if (earlier.version().step() >= next.version().step()) {
      return absl::DataLossError(absl::StrCat("snapshot.earlier[", i, "] is of step ", earlier.version().step(),
                                              ", what follows it of step ", next.version().step()));
    }
    if (!HasLayersOf(earlier, states.state)) {
      return absl::DataLossError(absl::StrCat("snapshot.earlier[", i, "] has other layers than snapshot.state"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

v1::Snapshot MakeSnapshot(const v1::JobState& state, absl::Span<const v1::JobState> earlier) {
  v1::Snapshot snapshot;
  snapshot.set_format_version(kSnapshotFormat);
  state.SerializeToString(snapshot.mutable_state());
  for (const v1::JobState& before : earlier) before.SerializeToString(snapshot.add_earlier());
  snapshot.set_checksum(Checksum(snapshot));
  return snapshot;
}

absl::StatusOr<SnapshotStates> OpenSnapshot(const v1::Snapshot& snapshot) {
  EVENKEEL_RETURN_IF_ERROR(CheckFormat(snapshot));
  SnapshotStates states;
  EVENKEEL_ASSIGN_OR_RETURN(states.state, ParseState("snapshot.state", snapshot.state()));
  for (int i = 0; i < snapshot.earlier_size(); ++i) {
    EVENKEEL_ASSIGN_OR_RETURN(v1::JobState earlier,
                              ParseState(absl::StrCat("snapshot.earlier[", i, "]"), snapshot.earlier(i)));
    states.earlier.push_back(std::move(earlier));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckEarlier(states));
  return states;
}

std::string EncodeSnapshot(const v1::JobState& state, absl::Span<const v1::JobState> earlier) {
  return MakeSnapshot(state, earlier).SerializeAsString();
}

absl::StatusOr<SnapshotStates> DecodeSnapshot(absl::string_view bytes) {
  v1::Snapshot snapshot;
  if (!snapshot.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(absl::StrCat(bytes.size(), " bytes are no Snapshot"));
  }
  return OpenSnapshot(snapshot);
}

absl::StatusOr<v1::Snapshot> ParseSnapshot(absl::string_view bytes) {
  v1::Snapshot snapshot;
  if (!snapshot.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(absl::StrCat(bytes.size(), " bytes are no Snapshot"));
  }
  EVENKEEL_RETURN_IF_ERROR(OpenSnapshot(snapshot).status());
  return snapshot;
}

}  // namespace evenkeel::job
