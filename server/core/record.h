#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "evenkeel/v1/snapshot.pb.h"
#include "job/kept_versions.h"

namespace evenkeel::core {

// Which epoch committed a step, and what came out.
struct VersionRecord {
  uint64_t step = 0;
  uint64_t epoch = 0;
  bool ok = false;
  // XXH3-64, as in v1::CommittedVersion::state_hash.
  uint64_t state_hash = 0;
};

// The steps, ascending, of the earlier states that a job whose newest is `state` needs: the base of its move, and with
// lag 1 the one before, which still routes; unless there is none, because the job's versions begin with
// `first_version`.
inline std::vector<uint64_t> EarlierSteps(const v1::JobState& state, uint64_t first_version) {
  const uint64_t step = state.version().step();
  std::vector<uint64_t> steps;
  if (state.has_move()) steps.push_back(state.move().base_step());
  if (state.spec().lag() == 1 && step > first_version) steps.push_back(step - 1);
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  return steps;
}

// Everything that a job needs of what is remembered of it.
struct JobRecord {
  // The newest.
  v1::JobState state;
  // Those of EarlierSteps(state, versions.front().step), in that order.
  std::vector<v1::JobState> earlier;
  // The coordinator's newest life for the job: at least the epoch of state.version.
  uint64_t epoch = 0;
  // In ascending order of their contributors; slots that nobody ever held may be absent.
  std::vector<v1::Member> members;
  // In ascending order of their steps; the newest kKeptVersions.
  std::vector<VersionRecord> versions;
};

// How a commit was told to move the bias; see job::CommitRoutedStep.
struct RoutedStep {
  v1::Version routed_with;
  bool stale = false;
};

// One change of one job. All writes that one event causes are made durable together, or not at all, before anyone
// hears of them.
struct Write {
  std::string job;
  // The new state, or null when it stays. States and versions of later steps are forgotten. Of the older states are
  // kept those of the newest kKeptVersions steps, for who wants to go back, and those of EarlierSteps.
  std::shared_ptr<const v1::JobState> state;
  // The job's epoch, as in JobRecord.
  uint64_t epoch = 0;
  // Versions to add; a version of the same step is replaced.
  std::vector<VersionRecord> versions;
  // Members to insert or replace, by contributor.
  std::vector<v1::Member> members;
  // With `state`: every state and version that was kept is forgotten first, and the job goes on with these states of
  // steps before it, ascending.
  bool begins_anew = false;
  std::vector<v1::JobState> earlier = {};
  // Of the commit that made the state; absent where something else did.
  std::optional<RoutedStep> commit = {};
  // The job expires: of its states are kept the newest and those of EarlierSteps, and it is not loaded any more unless
  // it is asked for by its name. The next write of the job takes that back.
  bool expires = false;
};

using job::kKeptVersions;

}  // namespace evenkeel::core
