#pragma once

#include <cstdint>

// One number that shows whether two arrays of 32-bit words are the same, made where they lie:
//
//   checksum = start + sum of Term(word, index), modulo 2^64
//
// A sum, so that it comes out alike in any order and on any machine. Arrays that differ in one word have different
// checksums, always; others have the same one by chance, once in 2^64. It is no help against someone who wants it so.
namespace evenkeel::checksum {

// Arrays are no longer than that.
inline constexpr int64_t kMaxWords = int64_t{1} << 32;

// Of `num_words` words, 0 to kMaxWords, at an address that is aligned to one. Words that are 0 add nothing: with
// start 0 the checksum of nothing but zeros is 0. Allocates nothing; thread-safe.
uint64_t Checksum(const void* words, int64_t num_words, uint64_t start);

}  // namespace evenkeel::checksum
