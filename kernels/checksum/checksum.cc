#include "kernels/checksum/checksum.h"

#include "kernels/checksum/checksum_term.h"

namespace evenkeel::checksum {

uint64_t Checksum(const void* words, int64_t num_words, uint64_t start) {
  const auto* const array = static_cast<const Word*>(words);
  uint64_t sum = start;
  for (int64_t i = 0; i < num_words; ++i) sum += Term(array[i], i);
  return sum;
}

}  // namespace evenkeel::checksum
