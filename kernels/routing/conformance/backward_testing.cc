#include "kernels/routing/conformance/backward_testing.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernels/ieee.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/reference/matrix_row.h"
#include "kernels/routing/reference/reference_router.h"

namespace evenkeel::routing {
namespace {

using Side = GuardedMatrix::Side;

size_t SizeOf(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }
size_t SizeOf(IdType id_type) { return id_type == IdType::kInt32 ? 4 : 8; }

// A matrix of `columns` elements of `element` bytes with `gap` elements between rows; without rows if `there` is false.
GuardedMatrix MakeMatrix(bool there, int64_t rows, int columns, int gap, size_t element, Side side, uint8_t poison) {
  return {there ? rows : 0, columns * element, (columns + gap) * element, side, poison};
}

// The inputs of a problem as `layout` has them.
class PlacedBackward {
 public:
  PlacedBackward(const BackwardProblem& problem, const BackwardLayout& layout)
      : rows_(problem.rows()),
        experts_(problem.spec.num_experts),
        top_k_(problem.spec.top_k),
        logits_(Matrix(true, experts_, layout.gaps[0], SizeOf(layout.logits_dtype), layout)),
        ids_(Matrix(true, top_k_, layout.gaps[1], SizeOf(layout.id_type), layout)),
        d_weights_(Matrix(!problem.d_weights.empty(), top_k_, layout.gaps[2], SizeOf(layout.d_weights_dtype), layout)),
        d_probabilities_(Matrix(!problem.d_probabilities.empty(), experts_, layout.gaps[3], sizeof(float), layout)) {
    input_.rows = rows_;
    input_.logits = logits_.data();
    input_.logits_dtype = layout.logits_dtype;
    input_.logits_stride = experts_ + layout.gaps[0];
    Fill(problem.logits, experts_, layout.logits_dtype, input_.logits_stride, logits_);
    input_.ids = ids_.data();
    input_.id_type = layout.id_type;
    input_.ids_stride = top_k_ + layout.gaps[1];
    FillIds(problem.ids, layout.id_type);
    input_.d_weights_dtype = layout.d_weights_dtype;
    input_.d_weights_stride = top_k_ + layout.gaps[2];
    if (!problem.d_weights.empty()) {
      input_.d_weights = d_weights_.data();
      Fill(problem.d_weights, top_k_, layout.d_weights_dtype, input_.d_weights_stride, d_weights_);
    }
    input_.d_probabilities_stride = experts_ + layout.gaps[3];
    if (!problem.d_probabilities.empty()) {
      input_.d_probabilities = static_cast<float*>(d_probabilities_.data());
      Fill(problem.d_probabilities, experts_, DType::kF32, input_.d_probabilities_stride, d_probabilities_);
    }
    for (GuardedMatrix* matrix : {&logits_, &ids_, &d_weights_, &d_probabilities_}) matrix->MakeReadOnly();
  }

  const RouteBackwardInput& input() const { return input_; }

 private:
  // Poison is a NaN of every dtype and no id, in what lies between rows.
  GuardedMatrix Matrix(bool there, int columns, int gap, size_t element, const BackwardLayout& layout) const {
    return MakeMatrix(there, rows_, columns, gap, element, layout.side, 0xff);
  }

  void Fill(const std::vector<float>& values, int columns, DType dtype, int64_t stride, GuardedMatrix& matrix) const {
    for (int64_t t = 0; t < rows_; ++t) {
      WriteFloats(values.data() + t * columns, columns, matrix.data(), dtype, t * stride);
    }
  }

  void FillIds(const std::vector<int32_t>& ids, IdType id_type) {
    for (int64_t t = 0; t < rows_; ++t) {
      const auto row = ids.begin() + t * top_k_;
      if (id_type == IdType::kInt32) {
        std::copy_n(row, top_k_, ids_.row<int32_t>(t));
      } else {
        std::copy_n(row, top_k_, ids_.row<int64_t>(t));
      }
    }
  }

  const int64_t rows_;
  const int experts_;
  const int top_k_;
  GuardedMatrix logits_;
  GuardedMatrix ids_;
  GuardedMatrix d_weights_;
  GuardedMatrix d_probabilities_;
  RouteBackwardInput input_;
};

std::vector<float> Normal(std::mt19937& random, size_t size) {
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

}  // namespace

BackwardProblem MakeBackwardProblem(std::mt19937& random, const RouteSpec& spec, const std::vector<float>& logits,
                                    const std::vector<float>& bias, Gradients gradients) {
  BackwardProblem problem;
  problem.spec = spec;
  problem.logits = logits;
  problem.ids.resize(problem.rows() * spec.top_k);
  RouteInput input;
  input.logits = logits.data();
  input.rows = problem.rows();
  input.logits_stride = spec.num_experts;
  input.bias = bias.empty() ? nullptr : bias.data();
  RouteOutput output;
  output.ids = problem.ids.data();
  output.ids_stride = spec.top_k;
  const absl::Status status = RouteReference(spec, input, output, nullptr);
  EXPECT_TRUE(status.ok()) << status;
  if (gradients != Gradients::kDense) problem.d_weights = Normal(random, problem.ids.size());
  if (gradients != Gradients::kByWeights) problem.d_probabilities = Normal(random, logits.size());
  return problem;
}

BackwardLayout RandomBackwardLayout(std::mt19937& random) {
  BackwardLayout layout;
  layout.logits_dtype = Pick(random, {DType::kF32, DType::kBF16, DType::kF16});
  layout.d_weights_dtype = Pick(random, {DType::kF32, layout.logits_dtype});
  layout.d_logits_dtype = Pick(random, {DType::kF32, layout.logits_dtype});
  layout.id_type = Pick(random, {IdType::kInt32, IdType::kInt64});
  for (int& gap : layout.gaps) gap = Pick(random, {0, 1, 3, 16});
  layout.side = Pick(random, {Side::kFirst, Side::kLast});
  return layout;
}

std::string Describe(const BackwardLayout& layout) {
  std::string text = absl::StrCat(
      "logits=", static_cast<int>(layout.logits_dtype), " d_weights=", static_cast<int>(layout.d_weights_dtype),
      " d_logits=", static_cast<int>(layout.d_logits_dtype), " ids=", static_cast<int>(layout.id_type), " gaps");
  for (const int gap : layout.gaps) absl::StrAppend(&text, " ", gap);
  return text;
}

std::vector<float> TakeBack(BackwardFunction backward, const BackwardProblem& problem, const BackwardLayout& layout) {
  const int experts = problem.spec.num_experts;
  const int64_t rows = problem.rows();
  const PlacedBackward placed(problem, layout);
  // What is not written differs between two kinds of poison.
  const size_t element = SizeOf(layout.d_logits_dtype);
  GuardedMatrix first = MakeMatrix(true, rows, experts, layout.gaps[4], element, layout.side, 0xaa);
  GuardedMatrix second = MakeMatrix(true, rows, experts, layout.gaps[4], element, layout.side, 0x55);
  RouteBackwardOutput output;
  output.d_logits_dtype = layout.d_logits_dtype;
  output.d_logits_stride = experts + layout.gaps[4];
  for (GuardedMatrix* matrix : {&first, &second}) {
    output.d_logits = matrix->data();
    const absl::Status status = backward(problem.spec, placed.input(), output);
    EXPECT_TRUE(status.ok()) << status;
    matrix->ExpectPoisonAroundRows();
  }
  first.ExpectSameRows(second, "d_logits");
  std::vector<float> d_logits(rows * experts);
  for (int64_t t = 0; t < rows; ++t) {
    ReadFloats(second.data(), layout.d_logits_dtype, t * output.d_logits_stride, experts, &d_logits[t * experts]);
  }
  return d_logits;
}

void ExpectSameBits(const std::vector<float>& got, const std::vector<float>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) && std::isnan(expected[i])) continue;
    ASSERT_EQ(ieee::Bits(got[i]), ieee::Bits(expected[i])) << "element " << i << ": " << got[i] << ", " << expected[i];
  }
}

std::ostream& operator<<(std::ostream& out, const BackwardUnderTest& pass) { return out << pass.name; }

std::string BackwardName(const testing::TestParamInfo<BackwardUnderTest>& info) { return info.param.name; }

}  // namespace evenkeel::routing
