#pragma once

#include <cstdint>

#include "evenkeel/worker.h"

namespace text_worker {

// What one rank's routers see. For each step: BeginStep, and for each micro-batch of it: Take, then Tokens for
// every layer.
class TokenSource {
 public:
  virtual ~TokenSource() = default;

  virtual void BeginStep(uint64_t step) = 0;

  // The micro-batch of tokens first .. first + rows - 1 of the step.
  virtual void Take(int64_t first, int64_t rows) = 0;

  // Its tokens at `layer`, which name their logits_stride. Valid until the next call.
  virtual evenkeel::Result<evenkeel::Tokens> Tokens(int layer) = 0;
};

}  // namespace text_worker
