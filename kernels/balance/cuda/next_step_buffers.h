#pragma once

#include <vector>

#include "kernels/balance/balance_config.h"
#include "kernels/balance/cuda/next_step.h"

namespace evenkeel::balance {

// For tests: what a NextStep points to at the beginning of a job of layers of `configs`, in the memory of the host.
struct NextStepBuffers {
  explicit NextStepBuffers(const std::vector<BalanceConfig>& configs);
  NextStepBuffers(const NextStepBuffers&) = delete;

  NextStep Next(bool apply_skipped, Mode mode);
  // `update` with the step and the rates that are made here.
  FlatUpdate Taking(FlatUpdate update) const;

  std::vector<std::vector<float>> table_rates;  // of each layer
  std::vector<RateTable> tables;
  uint64_t skips = 0;
  uint64_t replays = 0;
  FlatPlace place = {0, 0};
  FlatStep step = {};
  std::vector<float> rates;
};

}  // namespace evenkeel::balance
