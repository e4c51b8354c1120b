#include "kernels/checksum/checksum.h"

#include "kernels/checksum/checksum_term.h"

namespace evenkeel::checksum {

uint64_t Checksum(const void* words, int64_t num_words, uint64_t start) {
  const auto* const array = static_cast<const Word*>(words);
  uint64_t sum = start;
  for (int64_t i = 0; i < num_words; ++i) {
    // Half of an array of counts are high words of 0, and the processor finds out soon.
    if (array[i] != 0) sum += Term(array[i], i);
  }
  return sum;
}

}  // namespace evenkeel::checksum
