#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/conformance/placed_problem.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/conformance/same_as_reference.h"
#include "kernels/routing/cuda/cuda_backward.h"
#include "kernels/routing/cuda/cuda_router.h"
#include "kernels/routing/half.h"
#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/reference/reference_router.h"
#include "tests/gpu_check/device.h"
#include "tests/gpu_check/device_array.h"
#include "tests/gpu_check/device_router.h"
#include "tests/gpu_check/quick.h"

// Many rows, great matrices and great counts. What does not fit into the free memory is skipped, with the figures. When
// quick, the sizes are small ones: that shows the tests right, and no more.
namespace evenkeel::gpu_check {
namespace {

using routing::DType;
using routing::Problem;
using routing::Routed;
using routing::RouteInput;
using routing::RouteOutput;
using routing::RouteSpec;
using routing::RouteStats;

constexpr uint8_t kPoison = 0xab;

// What 32-bit numbers of elements end at: 2^31.
int64_t Limit() { return int64_t{1} << (Quick() ? 16 : 31); }

RouteSpec Spec(int num_experts, int top_k, routing::Score score, routing::Weight weight) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  spec.score = score;
  spec.weight = weight;
  return spec;
}

std::vector<float> Normal(int64_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

// Empty where `bytes` are free, and a little for the rest; else what to say.
std::string WhyNoRoom(int64_t bytes) {
  const absl::StatusOr<size_t> free = FreeDeviceMemory();
  if (!free.ok()) return std::string(free.status().message());
  constexpr int64_t kRest = int64_t{256} << 20;
  if (bytes + kRest <= static_cast<int64_t>(*free)) return "";
  return absl::StrCat("needs ", bytes >> 20, " MiB of the device's memory, of which ", *free >> 20, " are free");
}

// --- many rows

class DeviceRowsTest : public testing::TestWithParam<int64_t> {};

// Around the blocks of a grid, and around what runs at a time on GPUs of up to 160 multiprocessors.
TEST_P(DeviceRowsTest, AreTheReferences) {
  if (Quick() && GetParam() > 5000) GTEST_SKIP() << "not when quick";
  RouteSpec grouped = Spec(256, 8, routing::Score::kSigmoid, routing::Weight::kScore);
  grouped.num_groups = 8;
  grouped.top_groups = 4;
  grouped.normalize = true;
  grouped.normalize_epsilon = 1e-20f;
  grouped.scale = 2.5f;
  const RouteSpec softmax = Spec(128, 8, routing::Score::kLogit, routing::Weight::kSoftmaxOfSelected);
  for (const RouteSpec& spec : {grouped, softmax}) {
    Problem problem;
    problem.spec = spec;
    problem.logits = Normal(GetParam() * spec.num_experts, 1);
    problem.bias = Normal(spec.num_experts, 2);
    for (float& bias : problem.bias) bias *= 0.01f;
    routing::Layout layout;
    layout.logits_dtype = DType::kBF16;
    layout.probabilities = layout.map = GetParam() < 10000;
    SCOPED_TRACE(Describe(spec));
    routing::ExpectSameAsReference(RouteOnDevice, problem, layout);
  }
}

INSTANTIATE_TEST_SUITE_P(All, DeviceRowsTest,
                         testing::Values(0, 1, 7, 8, 9, 31, 32, 33, 4223, 4224, 4225, 5121, 65537, 131071, 131072,
                                         131073));

// --- great counts

using DeviceCountsTest = DeviceTest;

// Rows of one expert in bfloat16, two bytes each: as many as there are to be counts.
absl::Status CountRows(const DeviceArray<uint16_t>& logits, int64_t rows, const DeviceArray<uint64_t>& counts,
                       const DeviceArray<RouteStats>& stats, const DeviceStream& stream) {
  RouteInput input;
  input.logits = logits.data();
  input.logits_dtype = DType::kBF16;
  input.rows = rows;
  input.logits_stride = 1;
  RouteOutput output;
  output.counts = counts.data();
  const RouteSpec spec = Spec(1, 1, routing::Score::kSigmoid, routing::Weight::kScore);
  return routing::RouteCuda(spec, input, output, stats.data(), stream.get());
}

TEST_F(DeviceCountsTest, OfManyCallsPassThirtyTwoBits) {
  const int64_t rows = int64_t{1} << (Quick() ? 10 : 26);
  if (const std::string why = WhyNoRoom(2 * rows); !why.empty()) GTEST_SKIP() << why;
  const DeviceArray<uint16_t> logits(stream(), rows, 0);
  const DeviceArray<uint64_t> counts(stream(), 1, 0);
  const DeviceArray<RouteStats> stats(stream(), 1, 0);
  for (int call = 0; call < 65; ++call) ExpectOk(CountRows(logits, rows, counts, stats, stream()));
  EXPECT_EQ(counts.Get()[0], 65 * rows);
  EXPECT_EQ(stats.Get()[0].valid_rows, 65 * rows);
  EXPECT_EQ(stats.Get()[0].short_slots, 0);
}

TEST_F(DeviceCountsTest, OfOneCallPassThirtyTwoBits) {
  const int64_t rows = 2 * Limit() + 12345;
  if (const std::string why = WhyNoRoom(2 * rows); !why.empty()) GTEST_SKIP() << why;
  const DeviceArray<uint16_t> logits(stream(), rows, 0);
  const DeviceArray<uint64_t> counts(stream(), 1, 0);
  const DeviceArray<RouteStats> stats(stream(), 1, 0);
  ExpectOk(CountRows(logits, rows, counts, stats, stream()));
  EXPECT_EQ(counts.Get()[0], rows);
  EXPECT_EQ(stats.Get()[0].valid_rows, rows);
}

// --- great matrices

// Rows of zeros, but for some at the beginning, around the element 2^31 and at the end; all of these are looked at, and
// some rows of zeros.
class GreatRows {
 public:
  static constexpr int64_t kInRange = 32;

  GreatRows(const RouteSpec& spec, int64_t rows)
      : spec_(spec), rows_(rows), first_{0, Limit() / spec.num_experts - kInRange / 2, rows - kInRange, rows / 4} {
    logits_ = Normal(3 * kInRange * spec.num_experts, 3);
    for (float& logit : logits_) {
      logit = routing::FloatFromBFloat16(routing::BFloat16FromFloat(logit));
    }
    logits_.resize(4 * kInRange * spec.num_experts, 0.0f);
  }

  // The rows looked at, as a problem.
  Problem problem() const {
    Problem problem;
    problem.spec = spec_;
    problem.logits = logits_;
    return problem;
  }

  // Where each range of them begins in the great matrix.
  const std::vector<int64_t>& first() const { return first_; }

  // Of all rows, of which all but those looked at are zeros.
  std::vector<uint64_t> Counts(const std::vector<uint64_t>& looked_at) const {
    Problem zeros;
    zeros.spec = spec_;
    zeros.logits.assign(spec_.num_experts, 0.0f);
    const std::vector<uint64_t> of_zeros = RouteAndCheck(routing::RouteReference, zeros).counts;
    std::vector<uint64_t> counts = looked_at;
    for (size_t e = 0; e < counts.size(); ++e) counts[e] += (rows_ - 4 * kInRange) * of_zeros[e];
    return counts;
  }

  // The values of the rows looked at, of `columns` each, into the great matrix.
  template <typename Value>
  void Scatter(const std::vector<Value>& values, int64_t columns, DeviceArray<Value>* matrix) const {
    for (size_t range = 0; range < first_.size(); ++range) {
      const auto begin = values.begin() + range * kInRange * columns;
      matrix->Set(first_[range] * columns, {begin, begin + kInRange * columns});
    }
  }

  // ... and out of it.
  template <typename Value>
  std::vector<Value> Gather(const DeviceArray<Value>& matrix, int64_t columns) const {
    std::vector<Value> values;
    for (const int64_t first : first_) {
      const std::vector<Value> rows = matrix.Get(first * columns, kInRange * columns);
      values.insert(values.end(), rows.begin(), rows.end());
    }
    return values;
  }

 private:
  const RouteSpec spec_;
  const int64_t rows_;
  const std::vector<int64_t> first_;
  std::vector<float> logits_;
};

std::vector<uint16_t> ToBFloat16(const std::vector<float>& values) {
  std::vector<uint16_t> narrow;
  for (const float value : values) narrow.push_back(routing::BFloat16FromFloat(value));
  return narrow;
}

using DeviceMatrixTest = DeviceTest;

TEST_F(DeviceMatrixTest, RowsBeyondTwoToTheThirtyOneElements) {
  const RouteSpec spec = Spec(256, 8, routing::Score::kSigmoid, routing::Weight::kScore);
  const int64_t rows = Limit() / 256 + 1001;
  if (const std::string why = WhyNoRoom(rows * (2 * 256 + 2 * 4 * 8)); !why.empty()) GTEST_SKIP() << why;
  const GreatRows great(spec, rows);
  DeviceArray<uint16_t> logits(stream(), rows * 256, 0);
  great.Scatter(ToBFloat16(great.problem().logits), 256, &logits);
  const DeviceArray<int32_t> ids(stream(), rows * 8, kPoison);
  const DeviceArray<float> weights(stream(), rows * 8, kPoison);
  const DeviceArray<uint64_t> counts(stream(), 256, 0);
  RouteInput input;
  input.logits = logits.data();
  input.logits_dtype = DType::kBF16;
  input.rows = rows;
  input.logits_stride = 256;
  RouteOutput output;
  output.ids = ids.data();
  output.weights = weights.data();
  output.ids_stride = output.weights_stride = 8;
  output.counts = counts.data();
  ExpectOk(routing::RouteCuda(spec, input, output, nullptr, stream().get()));
  const Routed expected = RouteAndCheck(routing::RouteReference, great.problem());
  EXPECT_EQ(great.Gather(ids, 8), expected.ids);
  EXPECT_EQ(great.Gather(weights, 8), expected.weights);
  EXPECT_EQ(counts.Get(), great.Counts(expected.counts));
}

TEST_F(DeviceMatrixTest, DenseOutputsBeyondTwoToTheThirtyOneElements) {
  const RouteSpec spec = Spec(512, 6, routing::Score::kSoftmax, routing::Weight::kScore);
  const int64_t rows = Limit() / 512 + 1001;
  if (const std::string why = WhyNoRoom(rows * (2 + 4 + 1) * 512); !why.empty()) GTEST_SKIP() << why;
  const GreatRows great(spec, rows);
  DeviceArray<uint16_t> logits(stream(), rows * 512, 0);
  great.Scatter(ToBFloat16(great.problem().logits), 512, &logits);
  const DeviceArray<float> probabilities(stream(), rows * 512, kPoison);
  const DeviceArray<uint8_t> map(stream(), rows * 512, kPoison);
  RouteInput input;
  input.logits = logits.data();
  input.logits_dtype = DType::kBF16;
  input.rows = rows;
  input.logits_stride = 512;
  RouteOutput output;
  output.dense_probabilities = probabilities.data();
  output.dense_map = map.data();
  output.dense_probabilities_stride = output.dense_map_stride = 512;
  ExpectOk(routing::RouteCuda(spec, input, output, nullptr, stream().get()));
  const Routed expected = RouteAndCheck(routing::RouteReference, great.problem());
  EXPECT_EQ(great.Gather(probabilities, 512), expected.probabilities);
  EXPECT_EQ(great.Gather(map, 512), expected.map);
}

TEST_F(DeviceMatrixTest, GradientsBeyondTwoToTheThirtyOneElements) {
  const RouteSpec spec = Spec(256, 8, routing::Score::kLogit, routing::Weight::kSoftmax);
  const int64_t rows = Limit() / 256 + 1001;
  if (const std::string why = WhyNoRoom(rows * (2 * 2 * 256 + 2 * 4 * 8)); !why.empty()) GTEST_SKIP() << why;
  const GreatRows great(spec, rows);
  std::mt19937 random(4);
  const routing::BackwardProblem problem =
      MakeBackwardProblem(random, spec, great.problem().logits, {}, routing::Gradients::kByWeights);
  DeviceArray<uint16_t> logits(stream(), rows * 256, 0);
  great.Scatter(ToBFloat16(problem.logits), 256, &logits);
  DeviceArray<int32_t> ids(stream(), rows * 8, 0xff);  // short slots
  great.Scatter(problem.ids, 8, &ids);
  DeviceArray<float> d_weights(stream(), rows * 8, 0);
  great.Scatter(problem.d_weights, 8, &d_weights);
  const DeviceArray<uint16_t> d_logits(stream(), rows * 256, kPoison);
  routing::RouteBackwardInput input;
  input.logits = logits.data();
  input.logits_dtype = DType::kBF16;
  input.rows = rows;
  input.logits_stride = 256;
  input.ids = ids.data();
  input.d_weights = d_weights.data();
  input.ids_stride = input.d_weights_stride = 8;
  routing::RouteBackwardOutput output;
  output.d_logits = d_logits.data();
  output.d_logits_dtype = DType::kBF16;
  output.d_logits_stride = 256;
  ExpectOk(routing::RouteBackwardCuda(spec, input, output, stream().get()));
  EXPECT_EQ(great.Gather(d_logits, 256), ToBFloat16(TakeBack(routing::RouteBackwardReference, problem)));
}

// --- rows far apart

constexpr int64_t kFarRows = 3;

// A matrix of kFarRows rows whose stride may be anything.
template <typename Value>
class FarMatrix {
 public:
  FarMatrix(const DeviceStream& stream, int64_t columns, bool far)
      : columns_(columns),
        stride_(far ? Limit() + 5 : columns),
        array_(stream, (kFarRows - 1) * stride_ + columns, kPoison) {}

  FarMatrix(const DeviceStream& stream, const std::vector<Value>& values, bool far)
      : FarMatrix(stream, values.size() / kFarRows, far) {
    for (int64_t t = 0; t < kFarRows; ++t) {
      array_.Set(t * stride_, {values.begin() + t * columns_, values.begin() + (t + 1) * columns_});
    }
  }

  Value* data() const { return array_.data(); }
  int64_t stride() const { return stride_; }

  std::vector<Value> Get() const {
    std::vector<Value> values;
    for (int64_t t = 0; t < kFarRows; ++t) {
      const std::vector<Value> row = array_.Get(t * stride_, columns_);
      values.insert(values.end(), row.begin(), row.end());
    }
    return values;
  }

 private:
  const int64_t columns_;
  const int64_t stride_;
  DeviceArray<Value> array_;
};

// One matrix at a time, for the memory: the others are dense.
enum Far { kLogits, kIds, kWeights, kProbabilities, kMap, kReplay };
constexpr const char* kFarNames[] = {"logits", "ids", "weights", "probabilities", "map", "replay"};
constexpr int64_t kFarBytes[] = {2, 4, 2, 4, 1, 4};

class DeviceStrideTest : public DeviceTest, public testing::WithParamInterface<Far> {};

TEST_P(DeviceStrideTest, RowsMoreThanTwoToTheThirtyOneElementsApart) {
  const int64_t bytes = (kFarRows - 1) * (Limit() + 5) * kFarBytes[GetParam()];
  if (const std::string why = WhyNoRoom(bytes); !why.empty()) GTEST_SKIP() << why;
  Problem problem;
  problem.spec = Spec(64, 6, routing::Score::kSigmoid, routing::Weight::kScore);
  problem.logits = Normal(kFarRows * 64, 5);
  for (float& logit : problem.logits) logit = routing::FloatFromBFloat16(routing::BFloat16FromFloat(logit));
  if (GetParam() == kReplay) problem.replay = {5, 4, 3, 2, 1, 0, 9, 8, 7, -1, 7, 6, 63, 62, 61, 60, 59, 58};
  const Routed expected = RouteAndCheck(routing::RouteReference, problem);

  const FarMatrix<uint16_t> logits(stream(), ToBFloat16(problem.logits), GetParam() == kLogits);
  const FarMatrix<int32_t> ids(stream(), 6, GetParam() == kIds);
  const FarMatrix<uint16_t> weights(stream(), 6, GetParam() == kWeights);
  const FarMatrix<float> probabilities(stream(), 64, GetParam() == kProbabilities);
  const FarMatrix<uint8_t> map(stream(), 64, GetParam() == kMap);
  const FarMatrix<int32_t> replay(stream(), GetParam() == kReplay ? problem.replay : std::vector<int32_t>(18),
                                  GetParam() == kReplay);
  RouteInput input;
  input.logits = logits.data();
  input.logits_dtype = DType::kBF16;
  input.rows = kFarRows;
  input.logits_stride = logits.stride();
  if (GetParam() == kReplay) input.replay_ids = replay.data();
  input.replay_stride = replay.stride();
  RouteOutput output;
  output.ids = ids.data();
  output.ids_stride = ids.stride();
  output.weights = weights.data();
  output.weights_dtype = DType::kBF16;
  output.weights_stride = weights.stride();
  output.dense_probabilities = probabilities.data();
  output.dense_probabilities_stride = probabilities.stride();
  output.dense_map = map.data();
  output.dense_map_stride = map.stride();
  ExpectOk(routing::RouteCuda(problem.spec, input, output, nullptr, stream().get()));
  EXPECT_EQ(ids.Get(), expected.ids);
  EXPECT_EQ(weights.Get(), ToBFloat16(expected.weights));
  EXPECT_EQ(probabilities.Get(), expected.probabilities);
  EXPECT_EQ(map.Get(), expected.map);
}

INSTANTIATE_TEST_SUITE_P(All, DeviceStrideTest, testing::Values(kLogits, kIds, kWeights, kProbabilities, kMap, kReplay),
                         [](const testing::TestParamInfo<Far>& info) { return std::string(kFarNames[info.param]); });

enum BackwardFar { kOfLogits, kOfIds, kOfDWeights, kOfDProbabilities, kOfDLogits };
constexpr const char* kBackwardFarNames[] = {"logits", "ids", "d_weights", "d_probabilities", "d_logits"};
constexpr int64_t kBackwardFarBytes[] = {2, 4, 2, 4, 2};

class DeviceBackwardStrideTest : public DeviceTest, public testing::WithParamInterface<BackwardFar> {};

TEST_P(DeviceBackwardStrideTest, RowsMoreThanTwoToTheThirtyOneElementsApart) {
  const int64_t bytes = (kFarRows - 1) * (Limit() + 5) * kBackwardFarBytes[GetParam()];
  if (const std::string why = WhyNoRoom(bytes); !why.empty()) GTEST_SKIP() << why;
  for (const routing::Weight weight : {routing::Weight::kScore, routing::Weight::kSoftmax}) {
    const RouteSpec spec = Spec(64, 6, routing::Score::kSigmoid, weight);
    std::vector<float> values = Normal(kFarRows * 64, 6);
    for (float& value : values) value = routing::FloatFromBFloat16(routing::BFloat16FromFloat(value));
    std::mt19937 random(7);
    routing::BackwardProblem problem = MakeBackwardProblem(random, spec, values, {}, routing::Gradients::kBoth);
    for (float& value : problem.d_weights) value = routing::FloatFromBFloat16(routing::BFloat16FromFloat(value));

    const FarMatrix<uint16_t> logits(stream(), ToBFloat16(problem.logits), GetParam() == kOfLogits);
    const FarMatrix<int32_t> ids(stream(), problem.ids, GetParam() == kOfIds);
    const FarMatrix<uint16_t> d_weights(stream(), ToBFloat16(problem.d_weights), GetParam() == kOfDWeights);
    const FarMatrix<float> d_probabilities(stream(), problem.d_probabilities, GetParam() == kOfDProbabilities);
    const FarMatrix<uint16_t> d_logits(stream(), 64, GetParam() == kOfDLogits);
    routing::RouteBackwardInput input;
    input.logits = logits.data();
    input.logits_dtype = DType::kBF16;
    input.rows = kFarRows;
    input.logits_stride = logits.stride();
    input.ids = ids.data();
    input.ids_stride = ids.stride();
    input.d_weights = d_weights.data();
    input.d_weights_dtype = DType::kBF16;
    input.d_weights_stride = d_weights.stride();
    input.d_probabilities = d_probabilities.data();
    input.d_probabilities_stride = d_probabilities.stride();
    routing::RouteBackwardOutput output;
    output.d_logits = d_logits.data();
    output.d_logits_dtype = DType::kBF16;
    output.d_logits_stride = d_logits.stride();
    ExpectOk(routing::RouteBackwardCuda(spec, input, output, stream().get()));
    EXPECT_EQ(d_logits.Get(), ToBFloat16(TakeBack(routing::RouteBackwardReference, problem)));
  }
}

INSTANTIATE_TEST_SUITE_P(All, DeviceBackwardStrideTest,
                         testing::Values(kOfLogits, kOfIds, kOfDWeights, kOfDProbabilities, kOfDLogits),
                         [](const testing::TestParamInfo<BackwardFar>& info) {
                           return std::string(kBackwardFarNames[info.param]);
                         });

}  // namespace
}  // namespace evenkeel::gpu_check
