#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "evenkeel/v1/error_detail.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/job_state.h"
#include "server/core/effects.h"
#include "server/core/record.h"

// What the events of a job have in common.
namespace evenkeel::core {

using Reason = v1::ErrorDetail;

// Whether that incarnation held the slot before and may not come back.
inline bool WasReplaced(const v1::Member& member, uint64_t incarnation) {
  return std::find(member.replaced().begin(), member.replaced().end(), incarnation) != member.replaced().end();
}

// Gives the slot to `incarnation`, for good.
inline void Replace(uint64_t incarnation, v1::Member* member) {
  constexpr int kKeptReplaced = 16;
  if (member->incarnation() != 0) {
    if (member->replaced_size() == kKeptReplaced) member->mutable_replaced()->erase(member->replaced().begin());
    member->add_replaced(member->incarnation());
  }
  member->set_incarnation(incarnation);
}

inline VersionRecord RecordOf(const job::JobState& state) {
  return {state.version.step(), state.version.epoch(), state.ok, job::StateHash(state)};
}

// Answers `call` with an error.
inline PushResult Refuse(CallId call, absl::Status status, Effects* effects) {
  effects->answers.push_back({call, std::move(status)});
  return PushResult::kRefused;
}

}  // namespace evenkeel::core
