#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "evenkeel/v1/record.pb.h"
#include "server/core/record.h"

// What the coordinator's writes are in the record. Pure, thread-safe.
namespace evenkeel::recorder {

using StatePtr = std::shared_ptr<const v1::JobState>;

// A state, with the earlier ones that the job goes on with (core::EarlierSteps), ascending.
struct WholeState {
  StatePtr newest;
  std::vector<StatePtr> earlier;
};

v1::RecordedState RecordedStateOf(v1::RecordedState::Cause cause, const WholeState& state);

// `state` is what the commit made.
v1::RecordedCommit RecordedCommitOf(const core::RoutedStep& routed, const v1::JobState& state);

v1::RecordedConfig RecordedConfigOf(const v1::JobState& state);

// Whether nothing but changes and halt tells the two apart.
bool DifferInConfigOnly(const v1::JobState& before, const v1::JobState& after);

// XXH3-64 of the bias of each of the state's layers.
std::vector<uint64_t> LayerHashes(const v1::JobState& state);

}  // namespace evenkeel::recorder
