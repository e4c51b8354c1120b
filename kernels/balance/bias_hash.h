#pragma once

#include <cstdint>

#include "absl/types/span.h"

// How ranks and the coordinator agree that they hold the same bias. Pure, thread-safe.
namespace evenkeel::balance {

// XXH3-64 (seed 0) of the bias of one layer as little-endian float32.
uint64_t HashBias(absl::Span<const float> bias);

// XXH3-64 (seed 0) of the hashes of all layers, in layer order, as little-endian uint64.
uint64_t CombineHashes(absl::Span<const uint64_t> hashes);

}  // namespace evenkeel::balance
