#include "job/zero_bias.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernels/balance/balance_config.h"

namespace evenkeel::job {
namespace {

bool IsZero(const std::vector<float>& bias) {
  return std::all_of(bias.begin(), bias.end(), [](float value) { return value == 0; });
}

// Where every token goes to every expert there is nothing to balance.
bool CanMove(const balance::BalanceConfig& config, const LayerTable::Row& layer) {
  return config.rate != 0 && !config.frozen && layer.top_k < layer.num_experts;
}

}  // namespace

std::vector<v1::Violation> FindZeroBias(const JobPlan& plan, const JobState& state) {
  std::vector<v1::Violation> violations;
  const v1::JobSpec::Mode::Kind mode = plan.effective.mode();
  const bool moves = mode == v1::JobSpec::Mode::BALANCE || mode == v1::JobSpec::Mode::KIND_UNSPECIFIED;
  if (!moves || state.position == 0) return violations;
  for (int i = 0; i < plan.layers.size(); ++i) {
    const balance::LayerState& layer = state.layers[i].balance;
    if (layer.last_update == 0 || !CanMove(plan.balance[i], plan.layers[i])) continue;
    if (!IsZero(layer.bias)) continue;
    v1::Violation& violation = violations.emplace_back();
    violation.set_kind(v1::Violation::ZERO_BIAS);
    violation.set_layer(plan.layers[i].name);
    violation.set_message(absl::StrCat(Quoted(plan.layers[i]), ": the bias is 0 for all experts after step ",
                                       state.version.step(), ", though step ", layer.last_update,
                                       " moved it; was it saved?"));
  }
  return violations;
}

}  // namespace evenkeel::job
