#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "evenkeel/options.h"

namespace evenkeel::client {

// The group of one rank.
struct Group {
  std::vector<int> ranks;  // ascending; the first is the leader
  int place = 0;           // of this rank in `ranks`
  int index = 0;           // of the group among `count` groups, each of which is a contributor of the job
  int count = 1;

  bool is_leader() const { return place == 0; }
  int size() const { return static_cast<int>(ranks.size()); }
};

// The group of `rank` among `world_size` ranks. Every rank calls with the same options (but for a declared group, whose
// ranks and index are its own), and takes part in making its own group only: no rank waits for another group's.
//   INVALID_ARGUMENT  world_size < 1; rank outside of 0 .. world_size - 1; expert_parallel_size below 1, or no divisor
//                     of world_size, or given with another name than "ep"; declared ranks that are not ascending, not
//                     in the world, or without this one, or ranks of a group that is not declared; an index outside of
//                     0 .. count - 1. The message names the value.
absl::StatusOr<Group> GroupOf(const GroupOptions& options, int rank, int world_size);

}  // namespace evenkeel::client
