#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "evenkeel/v1/snapshot.pb.h"

namespace evenkeel::core {

// Which epoch committed a step, and what came out.
struct VersionRecord {
  uint64_t step = 0;
  uint64_t epoch = 0;
  bool ok = false;
  // XXH3-64, as in v1::CommittedVersion::state_hash.
  uint64_t state_hash = 0;
};

// Everything that is remembered of one job.
struct JobRecord {
  v1::JobState state;
  // The coordinator's newest life for the job: at least the epoch of state.version.
  uint64_t epoch = 0;
  // In ascending order of their contributors; slots that nobody ever held are absent.
  std::vector<v1::Member> members;
  // In ascending order of their steps; the newest kKeptVersions.
  std::vector<VersionRecord> versions;
};

// One change of one job. All writes that one event causes are made durable together, or not at all, before anyone
// hears of them.
struct Write {
  std::string job;
  // The new state, or null when it stays.
  std::shared_ptr<const v1::JobState> state;
  // The job's epoch, as in JobRecord.
  uint64_t epoch = 0;
  // Versions to add; a version of the same step is replaced.
  std::vector<VersionRecord> versions;
  // Members to insert or replace, by contributor.
  std::vector<v1::Member> members;
};

// Versions remembered for each job: enough to judge every `routed_with` that can still arrive.
inline constexpr int kKeptVersions = 64;

}  // namespace evenkeel::core
