#include "kernels/balance/bias_hash.h"

#include <xxhash.h>

#include "absl/base/config.h"

#ifndef ABSL_IS_LITTLE_ENDIAN
#error "the hashes are over little-endian bytes, which here are the bytes in memory"
#endif

namespace evenkeel::balance {

uint64_t HashBias(absl::Span<const float> bias) { return XXH3_64bits(bias.data(), bias.size() * sizeof(float)); }

uint64_t CombineHashes(absl::Span<const uint64_t> hashes) {
  return XXH3_64bits(hashes.data(), hashes.size() * sizeof(uint64_t));
}

}  // namespace evenkeel::balance
