#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "evenkeel/status.h"

namespace text_worker {

// All files under `paths`, one after another: a file as it is, of a folder everything below it in the order of the
// names. A file that several names lead to is read once.
//   NOT_FOUND         there is nothing at a path
//   INVALID_ARGUMENT  there is, and it cannot be read, or all of it holds no byte
evenkeel::Result<std::string> ReadText(const std::vector<std::string>& paths);

// Which bytes of a text are one rank's tokens in a step. The text is cut into short chunks, dealt to the
// ranks in turn; a rank takes its chunks in an order that leaps through the text, over and over. So
// ranks share no byte, a step sees the text in many places, and what it sees depends on nothing but its number.
class TextShare {
 public:
  static constexpr size_t kChunk = 16;

  // `text_bytes` >= ranks * kChunk, 0 <= rank < ranks, tokens > 0 per step.
  TextShare(size_t text_bytes, int rank, int ranks, int64_t tokens);

  // Where the tokens of `step` (from 1) are: fills positions [tokens].
  void Positions(uint64_t step, std::vector<size_t>* positions) const;

 private:
  const size_t rank_;
  const size_t ranks_;
  const uint64_t tokens_;
  // Chunks of this rank, and the leap from one to the next: without a common divisor, so that all are reached.
  uint64_t chunks_;
  uint64_t leap_;
};

}  // namespace text_worker
