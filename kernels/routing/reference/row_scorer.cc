#include "kernels/routing/reference/row_scorer.h"

#include "kernels/ieee.h"
#include "kernels/routing/reference/matrix_row.h"
#include "kernels/routing/reference/row_arithmetic.h"

namespace evenkeel::routing {

RowScorer::RowScorer(const RouteSpec& spec, const void* logits, DType dtype, int64_t stride)
    : spec_(spec),
      matrix_(logits),
      dtype_(dtype),
      stride_(stride),
      logits_(spec.num_experts),
      softmax_(NeedsRowSoftmax(spec) ? spec.num_experts : 0),
      scores_(spec.num_experts) {}

RowValues RowScorer::Score(int64_t row) {
  const RowArithmetic& arithmetic = NativeRowArithmetic();
  ReadFloats(matrix_, dtype_, row * stride_, spec_.num_experts, logits_.data());
  if (NeedsRowSoftmax(spec_)) arithmetic.softmax(logits_.data(), spec_.num_experts, softmax_.data());
  switch (spec_.score) {
    case Score::kSigmoid:
      arithmetic.sigmoid(logits_.data(), spec_.num_experts, scores_.data());
      break;
    case Score::kSoftmax:
      scores_ = softmax_;
      break;
    case Score::kSqrtSoftplus:
      arithmetic.sqrt_softplus(logits_.data(), spec_.num_experts, scores_.data());
      break;
    case Score::kLogit:
      scores_ = logits_;
      break;
  }
  if (spec_.scale_before_bias) {
    for (float& score : scores_) score = ieee::Mul(score, spec_.scale);
  }
  return {logits_.data(), scores_.data(), softmax_.empty() ? nullptr : softmax_.data()};
}

}  // namespace evenkeel::routing
