#include "kernels/balance/cuda/next_step_buffers.h"

#include "kernels/balance/rate_table.h"

namespace evenkeel::balance {

NextStepBuffers::NextStepBuffers(const std::vector<BalanceConfig>& configs) : rates(configs.size()) {
  for (const BalanceConfig& config : configs) table_rates.push_back(RateTableOf(config).value());
  for (const std::vector<float>& table : table_rates) tables.push_back({table.data(), table.size()});
}

NextStep NextStepBuffers::Next(bool apply_skipped, Mode mode) {
  return {&skips,        &replays, apply_skipped, mode,        static_cast<int>(tables.size()),
          tables.data(), &place,   &step,         rates.data()};
}

FlatUpdate NextStepBuffers::Taking(FlatUpdate update) const {
  update.step = &step;
  update.rates = rates.data();
  return update;
}

}  // namespace evenkeel::balance
