#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace evenkeel::client {

// Which micro-batches of a step have been counted, at each row (a layer, or a layer's stream): what counts a recomputed
// forward once. Micro-batches of different rows have nothing to do with each other, nor has their order.
//
// A number stands for one call of one row; that a repetition brings the same tokens is not looked at. Allocates only
// for numbers that are higher than any before. Not thread-safe.
class MicroBatches {
 public:
  static constexpr int64_t kMax = 65'535;
  // In place of a number: every call counts.
  static constexpr int64_t kUnnamed = -1;

  explicit MicroBatches(int rows);

  // INVALID_ARGUMENT, naming the value, unless it is kUnnamed or 0 to kMax. The others take these only.
  static absl::Status Check(int64_t micro_batch);

  // False for kUnnamed, always.
  bool Contains(int row, int64_t micro_batch) const;
  void Insert(int row, int64_t micro_batch);

  // A step begins: nothing has been counted, and nothing is set aside.
  void Clear();

  // Sets aside what there is, and begins with nothing; and goes back to it.
  void SetAside();
  void Restore();

 private:
  // By row; bit n of word n / 64.
  using Bits = std::vector<std::vector<uint64_t>>;

  Bits counted_;
  Bits aside_;
};

}  // namespace evenkeel::client
