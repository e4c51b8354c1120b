#include "client/worker/route_arguments.h"

namespace evenkeel::client {

routing::DType DTypeOf(FloatType type) {
  switch (type) {
    case FloatType::kBFloat16:
      return routing::DType::kBF16;
    case FloatType::kFloat16:
      return routing::DType::kF16;
    default:
      return routing::DType::kF32;
  }
}

routing::IdType IdTypeOf(IntType type) {
  return type == IntType::kInt64 ? routing::IdType::kInt64 : routing::IdType::kInt32;
}

routing::RouteInput InputOf(const routing::RouteSpec& spec, const Tokens& tokens, const float* bias) {
  routing::RouteInput input;
  input.logits = tokens.logits;
  input.logits_dtype = DTypeOf(tokens.logits_type);
  input.rows = tokens.rows;
  input.logits_stride = tokens.logits_stride == 0 ? spec.num_experts : tokens.logits_stride;
  input.bias = bias;
  input.valid_mask = tokens.valid_mask;
  input.replay_ids = tokens.replay_ids;
  input.replay_stride = tokens.replay_stride == 0 ? spec.top_k : tokens.replay_stride;
  return input;
}

routing::RouteOutput OutputOf(const routing::RouteSpec& spec, const Assignments& assignments, uint64_t* counts) {
  routing::RouteOutput output;
  output.ids = assignments.ids;
  output.id_type = IdTypeOf(assignments.ids_type);
  output.ids_stride = spec.top_k;
  output.weights = assignments.weights;
  output.weights_dtype = DTypeOf(assignments.weights_type);
  output.weights_stride = spec.top_k;
  output.counts = counts;
  output.keep_masked_rows = assignments.keep_masked;
  return output;
}

routing::RouteBackwardInput BackwardInputOf(const routing::RouteSpec& spec, const Tokens& tokens,
                                            const Gradients& gradients) {
  routing::RouteBackwardInput input;
  input.logits = tokens.logits;
  input.logits_dtype = DTypeOf(tokens.logits_type);
  input.rows = tokens.rows;
  input.logits_stride = tokens.logits_stride == 0 ? spec.num_experts : tokens.logits_stride;
  input.ids = gradients.ids;
  input.id_type = IdTypeOf(gradients.ids_type);
  input.ids_stride = spec.top_k;
  input.d_weights = gradients.d_weights;
  input.d_weights_dtype = DTypeOf(gradients.d_weights_type);
  input.d_weights_stride = spec.top_k;
  return input;
}

routing::RouteBackwardOutput BackwardOutputOf(const routing::RouteSpec& spec, const Gradients& gradients) {
  routing::RouteBackwardOutput output;
  output.d_logits = gradients.d_logits;
  output.d_logits_dtype = DTypeOf(gradients.d_logits_type);
  output.d_logits_stride = spec.num_experts;
  return output;
}

counting::IdsInput IdsInputOf(int num_experts, int top_k, const Ids& ids) {
  counting::IdsInput input;
  input.num_experts = num_experts;
  input.top_k = top_k;
  input.ids = ids.ids;
  input.id_type = IdTypeOf(ids.ids_type);
  input.rows = ids.rows;
  input.ids_stride = ids.ids_stride == 0 ? top_k : ids.ids_stride;
  input.valid_mask = ids.valid_mask;
  return input;
}

counting::CountsInput CountsInputOf(int num_experts, int top_k, const Counts& counts) {
  counting::CountsInput input;
  input.num_experts = num_experts;
  input.top_k = top_k;
  input.counts = counts.counts;
  input.type = counting::CountType::kInt64;
  input.valid_rows = counts.valid_tokens;
  input.short_slots = counts.short_slots;
  return input;
}

}  // namespace evenkeel::client
