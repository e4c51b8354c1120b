#include "client/reduce/groups.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace evenkeel::client {
namespace {

std::vector<int> Range(int first, int count) {
  std::vector<int> ranks(count);
  std::iota(ranks.begin(), ranks.end(), first);
  return ranks;
}

bool IsDeclared(const GroupOptions& options) {
  return !options.name.empty() && options.name != "world" && options.name != "ep";
}

// What belongs to another kind of group than the one named is a mistake, not a preference.
absl::Status CheckName(const GroupOptions& options) {
  if (options.name != "ep" && options.expert_parallel_size != 0) {
    return absl::InvalidArgumentError(absl::StrCat("group.expert_parallel_size ", options.expert_parallel_size,
                                                   " belongs to the group \"ep\", not to \"", options.name, "\""));
  }
  if (!IsDeclared(options) && !options.ranks.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("group.ranks ", absl::StrJoin(options.ranks, ","),
                                                   " belong to a group with a name of its own, not to \"", options.name,
                                                   "\""));
  }
  return absl::OkStatus();
}

// The world cut into groups of `size` neighbours.
Group Neighbours(int size, int rank, int world_size) {
  Group group;
  group.index = rank / size;
  group.count = world_size / size;
  group.place = rank % size;
  group.ranks = Range(group.index * size, size);
  return group;
}

absl::StatusOr<Group> ExpertParallel(int size, int rank, int world_size) {
  if (size < 1 || world_size % size != 0) {
    return absl::InvalidArgumentError(absl::StrCat("group.expert_parallel_size ", size,
                                                   " must be at least 1 and divide the world_size ", world_size));
  }
  return Neighbours(size, rank, world_size);
}

absl::StatusOr<Group> Declared(const GroupOptions& options, int rank, int world_size) {
  const std::vector<int>& ranks = options.ranks;
  const std::string given =
      absl::StrCat("group.ranks ", absl::StrJoin(ranks, ","), " of group.name \"", options.name, "\" must ");
  if (std::adjacent_find(ranks.begin(), ranks.end(), std::greater_equal<int>()) != ranks.end()) {
    return absl::InvalidArgumentError(absl::StrCat(given, "be ascending"));
  }
  const auto own = std::find(ranks.begin(), ranks.end(), rank);
  if (own == ranks.end()) return absl::InvalidArgumentError(absl::StrCat(given, "hold the rank ", rank));
  if (ranks.front() < 0 || ranks.back() >= world_size) {
    return absl::InvalidArgumentError(absl::StrCat(given, "lie in 0 .. ", world_size - 1));
  }
  if (options.index < 0 || options.index >= options.count) {
    return absl::InvalidArgumentError(absl::StrCat("group.index ", options.index, " of group.name \"", options.name,
                                                   "\" must lie in 0 .. group.count - 1, and group.count is ",
                                                   options.count));
  }
  Group group;
  group.ranks = ranks;
  group.place = static_cast<int>(own - ranks.begin());
  group.index = options.index;
  group.count = options.count;
  return group;
}

}  // namespace

absl::StatusOr<Group> GroupOf(const GroupOptions& options, int rank, int world_size) {
  if (world_size < 1) {
    return absl::InvalidArgumentError(absl::StrCat("world_size ", world_size, " must be at least 1"));
  }
  if (rank < 0 || rank >= world_size) {
    return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " must lie in 0 .. ", world_size - 1));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckName(options));
  if (IsDeclared(options)) return Declared(options, rank, world_size);
  if (options.name == "ep") return ExpertParallel(options.expert_parallel_size, rank, world_size);
  return Neighbours(options.name == "world" ? world_size : 1, rank, world_size);
}

}  // namespace evenkeel::client
