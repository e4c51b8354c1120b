#include "kernels/balance/update.h"

#include "kernels/balance/check.h"
#include "kernels/balance/layer_rule.h"
#include "kernels/balance/layer_update.h"
#include "kernels/balance/schedule.h"

namespace evenkeel::balance {
namespace {

class HostBlock {
 public:
  static constexpr int kThreads = 1;

  template <typename Function>
  void Phase(Function function) {
    function(0);
  }

  BlockMemory<kThreads>& memory() { return memory_; }

 private:
  BlockMemory<kThreads> memory_;
};

void CheckSizes(const BalanceConfig& config, size_t num_experts, const LayerState& state) {
  Check(num_experts >= 1 && num_experts <= kMaxExperts, "there are 1 to 16384 counts");
  Check(state.bias.size() == num_experts && state.ema.size() == num_experts && state.counts.size() == num_experts,
        "counts have the size of the state");
  Check(config.target.empty() || config.target.size() == num_experts, "counts have the size of the target");
}

}  // namespace

UpdateReason Update(const BalanceConfig& config, const StepInfo& info, absl::Span<const uint64_t> counts,
                    uint64_t tokens, LayerState* state) {
  CheckSizes(config, counts.size(), *state);
  const LayerRule rule = MakeLayerRule(config, static_cast<int>(counts.size()));
  const float rate = static_cast<float>(RateAt(config, info.position));
  const LayerBuffers layer = {counts.data(), tokens, state->bias.data(), state->ema.data(), state->counts.data()};
  HostBlock block;
  Check(UpdateLayer(block, rule, info, rate, layer, state), "counts and tokens add up to at most 2^48");
  return state->last_reason;
}

void RecordUnmoved(uint64_t step, UpdateReason reason, LayerState* state) { HoldLayer(step, reason, state); }

}  // namespace evenkeel::balance
