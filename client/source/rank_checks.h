#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/source/step_counts.h"

// What every rank of a group says of itself with the counts of a step, so that whoever has the sums sees which of them
// hold the same tokens, or another bias.
namespace evenkeel::client {

// Where the checksum of a bias starts: that of a bias of 0 is not 0, which says that nobody looked.
inline constexpr uint64_t kBiasChecksumStart = 1;

// StepCounts::RankCheck::bias of a rank that routes with `bias`, that of all layers in protocol order. Where a job has
// no bias (it observes), that of one of 0, as its ranks hold.
uint64_t BiasChecksum(absl::Span<const float> bias);

// Words of StepCounts::sums() that a rank counts by itself; of these RankCheck::counts is the checksum, from 0.
inline int64_t CountedWords(const StepShape& shape) { return 2 * static_cast<int64_t>(shape.SkipsAt()); }

// Writes the check of a rank that has counted `counts` by itself, at its place in the group.
void WriteCheck(int place, absl::Span<const float> bias, StepCounts* counts);

// Places, ascending, of those ranks whose bias was not the one of that checksum.
std::vector<int> DivergedPlaces(const StepCounts& counts, uint64_t bias_checksum);

// For ranks that move their bias by themselves, where a bias that is another stays another: DATA_LOSS, naming the
// ranks, where one was not that of the checksum. `ranks`: those of the group.
absl::Status CheckBias(const StepCounts& counts, uint64_t bias_checksum, absl::Span<const int> ranks);

}  // namespace evenkeel::client
