#include "kernels/routing/route_backward.h"

#include "absl/strings/string_view.h"
#include "kernels/routing/invalid_field.h"
#include "kernels/routing/validate_matrix.h"

namespace evenkeel::routing {
namespace {

absl::Status ValidatePresence(absl::string_view field, const void* matrix, int64_t rows) {
  if (matrix != nullptr || rows == 0) return absl::OkStatus();
  return InvalidField(field, "null", "rows > 0 need it");
}

absl::Status ValidateInput(const RouteSpec& spec, const RouteBackwardInput& input) {
  if (input.rows < 0) return InvalidField("rows", input.rows, "must be >= 0");
  absl::Status status = ValidatePresence("logits", input.logits, input.rows);
  status.Update(ValidateEnum("logits_dtype", input.logits_dtype, DType::kF16));
  status.Update(ValidateStride("logits_stride", input.logits, input.logits_stride, spec.num_experts));
  status.Update(ValidatePresence("ids", input.ids, input.rows));
  status.Update(ValidateEnum("id_type", input.id_type, IdType::kInt64));
  status.Update(ValidateStride("ids_stride", input.ids, input.ids_stride, spec.top_k));
  if (input.d_probabilities == nullptr) {
    status.Update(ValidatePresence("d_weights and d_probabilities", input.d_weights, input.rows));
  }
  status.Update(ValidateDType("d_weights_dtype", input.d_weights_dtype, input.logits_dtype));
  status.Update(ValidateStride("d_weights_stride", input.d_weights, input.d_weights_stride, spec.top_k));
  status.Update(
      ValidateStride("d_probabilities_stride", input.d_probabilities, input.d_probabilities_stride, spec.num_experts));
  return status;
}

absl::Status ValidateOutput(const RouteSpec& spec, const RouteBackwardInput& input, const RouteBackwardOutput& output) {
  absl::Status status = ValidatePresence("d_logits", output.d_logits, input.rows);
  status.Update(ValidateDType("d_logits_dtype", output.d_logits_dtype, input.logits_dtype));
  status.Update(ValidateStride("d_logits_stride", output.d_logits, output.d_logits_stride, spec.num_experts));
  return status;
}

}  // namespace

absl::Status ValidateRouteBackward(const RouteSpec& spec, const RouteBackwardInput& input,
                                   const RouteBackwardOutput& output) {
  absl::Status status = Validate(spec);
  if (status.ok()) status = ValidateInput(spec, input);
  if (status.ok()) status = ValidateOutput(spec, input, output);
  return status;
}

}  // namespace evenkeel::routing
