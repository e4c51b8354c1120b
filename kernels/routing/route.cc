#include "kernels/routing/route.h"

#include "kernels/routing/invalid_field.h"
#include "kernels/routing/validate_matrix.h"

namespace evenkeel::routing {
namespace {

absl::Status ValidateInput(const RouteSpec& spec, const RouteInput& input) {
  if (input.rows < 0) return InvalidField("rows", input.rows, "must be >= 0");
  if (input.rows > 0 && input.logits == nullptr) return InvalidField("logits", "null", "rows > 0 need logits");
  absl::Status status = ValidateEnum("logits_dtype", input.logits_dtype, DType::kF16);
  status.Update(ValidateStride("logits_stride", input.logits, input.logits_stride, spec.num_experts));
  status.Update(ValidateStride("replay_stride", input.replay_ids, input.replay_stride, spec.top_k));
  status.Update(ValidateEnum("forced.mode", input.forced.mode, ForcedBalance::Mode::kRandom));
  if (input.forced.mode == ForcedBalance::Mode::kRandom && !input.forced.seed.has_value()) {
    status.Update(InvalidField("forced.seed", "absent", "forced.mode = random needs a seed"));
  }
  if (input.forced.mode != ForcedBalance::Mode::kNone && input.replay_ids != nullptr) {
    status.Update(InvalidField("forced.mode", static_cast<int>(input.forced.mode), "excludes replay_ids"));
  }
  return status;
}

absl::Status ValidateOutput(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output) {
  absl::Status status = ValidateEnum("id_type", output.id_type, IdType::kInt64);
  status.Update(ValidateDType("weights_dtype", output.weights_dtype, input.logits_dtype));
  status.Update(ValidateStride("ids_stride", output.ids, output.ids_stride, spec.top_k));
  status.Update(ValidateStride("weights_stride", output.weights, output.weights_stride, spec.top_k));
  status.Update(ValidateStride("dense_probabilities_stride", output.dense_probabilities,
                               output.dense_probabilities_stride, spec.num_experts));
  status.Update(ValidateStride("dense_map_stride", output.dense_map, output.dense_map_stride, spec.num_experts));
  return status;
}

}  // namespace

absl::Status ValidateRoute(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output) {
  absl::Status status = Validate(spec);
  if (status.ok()) status = ValidateInput(spec, input);
  if (status.ok()) status = ValidateOutput(spec, input, output);
  return status;
}

}  // namespace evenkeel::routing
