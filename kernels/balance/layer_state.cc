#include "kernels/balance/layer_state.h"

#include "kernels/balance/balance_config.h"
#include "kernels/balance/check.h"

namespace evenkeel::balance {

LayerState InitialState(int num_experts) {
  Check(num_experts >= 1 && num_experts <= kMaxExperts, "num_experts is 1 to 16384");
  LayerState state;
  state.bias.resize(num_experts);
  state.ema.resize(num_experts);
  state.counts.resize(num_experts);
  return state;
}

}  // namespace evenkeel::balance
