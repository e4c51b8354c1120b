#include "client/source/rank_checks.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/checksum/checksum.h"

namespace evenkeel::client {

uint64_t BiasChecksum(absl::Span<const float> bias) {
  return checksum::Checksum(bias.data(), bias.size(), kBiasChecksumStart);
}

void WriteCheck(int place, absl::Span<const float> bias, StepCounts* counts) {
  const uint64_t counted = checksum::Checksum(counts->sums().data(), CountedWords(counts->shape()), /*start=*/0);
  counts->mutable_checks()[place] = {counted, BiasChecksum(bias)};
}

std::vector<int> DivergedPlaces(const StepCounts& counts, uint64_t bias_checksum) {
  std::vector<int> places;
  for (size_t place = 0; place < counts.checks().size(); ++place) {
    const uint64_t bias = counts.checks()[place].bias;
    if (bias != 0 && bias != bias_checksum) places.push_back(static_cast<int>(place));
  }
  return places;
}

absl::Status CheckBias(const StepCounts& counts, uint64_t bias_checksum, absl::Span<const int> ranks) {
  std::vector<int> diverged;
  for (const int place : DivergedPlaces(counts, bias_checksum)) {
    diverged.push_back(place < static_cast<int>(ranks.size()) ? ranks[place] : place);
  }
  if (diverged.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "step ", counts.step, ": the bias of rank ", absl::StrJoin(diverged, ", "),
      " is not the one that this group has made, and the replicas diverge; what else writes where bias() points "
      "(offloading, a cast, an optimizer)?"));
}

}  // namespace evenkeel::client
