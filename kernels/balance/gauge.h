#pragma once

#include <vector>

#include "absl/types/span.h"

// The gauge of a bias: the same number added to the bias of every expert changes no selection, wherever the experts of
// groups that were dropped are no candidates. Pure, thread-safe.
namespace evenkeel::balance {

// The mean of the experts that move (those whose `target` is not negative; of all without one), in double, in index
// order; 0 where it is no more than rounding to float32 makes of a mean of 0: at most 2^-24 of the largest |bias|.
// Sizes agree, or `target` is empty.
double OffCentre(absl::Span<const double> bias, absl::Span<const float> target);

// `bias` with OffCentre taken off every expert, rounded once. Done again, it changes nothing.
std::vector<float> Recentred(absl::Span<const double> bias, absl::Span<const float> target);

// What PositiveOffset leaves as the smallest bias.
inline constexpr float kLeastPositiveBias = 0x1p-10f;

// What to add to every expert so that the smallest bias is kLeastPositiveBias; 0 if none is below that. For those who
// give the experts of dropped groups a biased score of 0: with scores that are not negative, every expert of a kept
// group is then above them.
double PositiveOffset(absl::Span<const float> bias);

// `bias` with `offset` added in double, rounded once.
std::vector<float> Shifted(absl::Span<const float> bias, double offset);

}  // namespace evenkeel::balance
