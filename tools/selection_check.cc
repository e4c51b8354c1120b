#include "tools/selection_check.h"

#include <algorithm>

#include "absl/types/span.h"
#include "base/status_macros.h"
#include "kernels/balance/gauge.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/half.h"

namespace evenkeel::tools {
namespace {

using routing::DroppedGroupFill;

// [tokens, top_k]; -1 where there is no expert.
using Ids = std::vector<int32_t>;

absl::StatusOr<Ids> Select(const RouterRows& rows, const routing::RouteSpec& spec, const std::vector<float>& bias,
                           routing::RouteStats* stats) {
  Ids ids(rows.tokens() * spec.top_k);
  routing::RouteInput input = rows.Input();
  input.bias = bias.data();
  routing::RouteOutput output;
  output.ids = ids.data();
  output.ids_stride = spec.top_k;
  EVENKEEL_RETURN_IF_ERROR(routing::RouteCpu(spec, input, output, stats));
  return ids;
}

// How many experts of one row the other has not, of the row that has more of them.
int64_t Difference(absl::Span<const int32_t> a, absl::Span<const int32_t> b) {
  const auto missing = [](absl::Span<const int32_t> from, absl::Span<const int32_t> in) {
    return std::count_if(from.begin(), from.end(),
                         [in](int32_t id) { return id >= 0 && std::find(in.begin(), in.end(), id) == in.end(); });
  };
  return std::max(missing(a, b), missing(b, a));
}

SelectionDifference Compare(const SelectionVariant& variant, const Ids& ours, const Ids& theirs, size_t top_k) {
  SelectionDifference difference{variant};
  for (size_t begin = 0; begin < ours.size(); begin += top_k) {
    const int64_t slots =
        Difference(absl::MakeSpan(ours).subspan(begin, top_k), absl::MakeSpan(theirs).subspan(begin, top_k));
    difference.slots += slots;
    difference.tokens += slots > 0;
  }
  return difference;
}

std::vector<float> BiasOf(const SelectionVariant& variant, const std::vector<float>& bias) {
  std::vector<float> theirs = balance::Shifted(bias, variant.offset);
  if (!variant.is_bf16) return theirs;
  for (float& value : theirs) value = routing::FloatFromBFloat16(routing::BFloat16FromFloat(value));
  return theirs;
}

}  // namespace

absl::StatusOr<SelectionCheck> CheckSelection(const RouterRows& rows, bool with_offset) {
  std::vector<float> bias(rows.spec.num_experts);
  if (rows.bias.has_value()) {
    const absl::Span<const float> given = rows.bias->values<float>();
    bias.assign(given.begin(), given.end());
  }
  routing::RouteStats stats;
  EVENKEEL_ASSIGN_OR_RETURN(const Ids ours, Select(rows, rows.spec, bias, &stats));
  SelectionCheck check;
  check.tokens = stats.valid_rows;
  check.slots = stats.valid_rows * rows.spec.top_k;
  check.offset = balance::PositiveOffset(bias);

  const DroppedGroupFill own = rows.spec.dropped_group_fill;
  const DroppedGroupFill other = own == DroppedGroupFill::kZero ? DroppedGroupFill::kNegInf : DroppedGroupFill::kZero;
  std::vector<SelectionVariant> variants = {{other}, {own, true}, {other, true}};
  if (with_offset) {
    const double offset = check.offset;
    variants.insert(variants.end(),
                    {{own, false, offset}, {other, false, offset}, {own, true, offset}, {other, true, offset}});
  }
  for (const SelectionVariant& variant : variants) {
    routing::RouteSpec spec = rows.spec;
    spec.dropped_group_fill = variant.fill;
    EVENKEEL_ASSIGN_OR_RETURN(const Ids theirs, Select(rows, spec, BiasOf(variant, bias), nullptr));
    check.differences.push_back(Compare(variant, ours, theirs, spec.top_k));
  }
  return check;
}

}  // namespace evenkeel::tools
