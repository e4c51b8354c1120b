#include "job/initial_bias.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "kernels/balance/bias_hash.h"

namespace evenkeel::job {
namespace {

absl::Status Invalid(const std::string& message) {
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                      absl::StrCat("initial_bias", message));
}

absl::Span<const float> OfRow(const LayerTable::Row& row, absl::Span<const float> bias) {
  return bias.subspan(row.offset, row.num_experts);
}

absl::Status CheckRow(const LayerTable::Row& row, const balance::BalanceConfig& config, absl::Span<const float> bias) {
  const bool is_capped = config.cap > 0 && config.cap_mode == balance::CapMode::kAbsolute;
  for (int expert = 0; expert < row.num_experts; ++expert) {
    const float value = bias[expert];
    const auto where = [&] { return absl::StrCat(": ", Quoted(row), ", expert ", expert, " has ", value); };
    if (!std::isfinite(value)) return Invalid(absl::StrCat(where(), "; it must be finite"));
    if (is_capped && std::fabs(value) > static_cast<float>(config.cap)) {
      return Invalid(absl::StrCat(where(), ", which the absolute cap ", config.cap,
                                  " would cut; recentre the layer first, or give it another cap"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t InitialBiasHash(const JobPlan& plan, absl::Span<const float> bias) {
  if (bias.empty()) return 0;
  std::vector<uint64_t> hashes;
  for (const LayerTable::Row& row : plan.layers.rows()) hashes.push_back(balance::HashBias(OfRow(row, bias)));
  return balance::CombineHashes(hashes);
}

absl::Status SetInitialBias(const JobPlan& plan, absl::Span<const float> bias, JobState* state) {
  if (bias.empty()) return absl::OkStatus();
  if (plan.effective.mode() == v1::JobSpec::Mode::OBSERVE) {
    return Invalid(" is given; a job whose mode is OBSERVE has no bias");
  }
  if (bias.size() != static_cast<size_t>(plan.layers.total_experts())) {
    return Invalid(
        absl::StrCat(" has ", bias.size(), " values; the layers have ", plan.layers.total_experts(), " experts"));
  }
  for (int i = 0; i < plan.layers.size(); ++i) {
    const absl::Span<const float> of_row = OfRow(plan.layers[i], bias);
    absl::Status status = CheckRow(plan.layers[i], plan.balance[i], of_row);
    if (!status.ok()) return status;
    state->layers[i].balance.bias.assign(of_row.begin(), of_row.end());
  }
  state->initial_bias_hash = InitialBiasHash(plan, bias);
  return absl::OkStatus();
}

}  // namespace evenkeel::job
