#include "kernels/counting/count.h"

#include "absl/strings/str_cat.h"
#include "kernels/routing/invalid_field.h"
#include "kernels/routing/validate_matrix.h"

namespace evenkeel::counting {
namespace {

using routing::InvalidField;

absl::Status ValidateShape(int num_experts, int top_k) {
  if (num_experts < 1 || num_experts > routing::kMaxExperts) {
    return InvalidField("num_experts", num_experts, absl::StrCat("must be in [1, ", routing::kMaxExperts, "]"));
  }
  if (top_k < 1 || top_k > num_experts) {
    return InvalidField("top_k", top_k, absl::StrCat("must be in [1, num_experts = ", num_experts, "]"));
  }
  return absl::OkStatus();
}

absl::Status ValidateOutput(const CountOutput& output) {
  if (output.counts == nullptr) return InvalidField("output.counts", "null", "is needed");
  if (output.stats == nullptr) return InvalidField("output.stats", "null", "is needed");
  if (output.refused == nullptr) return InvalidField("output.refused", "null", "is needed");
  return absl::OkStatus();
}

absl::Status ValidateIds(const IdsInput& input) {
  absl::Status status = routing::ValidateEnum("id_type", input.id_type, routing::IdType::kInt64);
  if (input.rows < 0) status.Update(InvalidField("rows", input.rows, "must be >= 0"));
  if (input.rows > 0 && input.ids == nullptr) status.Update(InvalidField("ids", "null", "rows > 0 need ids"));
  if (input.rows > 0) {
    status.Update(routing::ValidateStride("ids_stride", input.ids, input.ids_stride, input.top_k));
  }
  return status;
}

absl::Status ValidateCounts(const CountsInput& input) {
  absl::Status status = routing::ValidateEnum("type", input.type, CountType::kFloat32);
  if (input.counts == nullptr) status.Update(InvalidField("counts", "null", "is needed"));
  if (input.any_sum) return status;
  const uint64_t most_rows = kMaxCount / input.top_k;
  if (input.valid_rows > most_rows) {
    status.Update(
        InvalidField("valid_rows", input.valid_rows, absl::StrCat("must be at most 2^48 / top_k = ", most_rows)));
  } else if (input.short_slots > input.top_k * input.valid_rows) {
    status.Update(InvalidField("short_slots", input.short_slots,
                               absl::StrCat("must be at most top_k * valid_rows = ", input.top_k * input.valid_rows)));
  }
  return status;
}

}  // namespace

absl::Status ValidateCount(const IdsInput& input, const CountOutput& output) {
  absl::Status status = ValidateShape(input.num_experts, input.top_k);
  if (status.ok()) status = ValidateIds(input);
  if (status.ok()) status = ValidateOutput(output);
  return status;
}

absl::Status ValidateCount(const CountsInput& input, const CountOutput& output) {
  absl::Status status = ValidateShape(input.num_experts, input.top_k);
  if (status.ok()) status = ValidateCounts(input);
  if (status.ok()) status = ValidateOutput(output);
  return status;
}

}  // namespace evenkeel::counting
