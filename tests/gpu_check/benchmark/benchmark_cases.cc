#include "tests/gpu_check/benchmark/benchmark_cases.h"

namespace evenkeel::benchmarks {
namespace {

using routing::DType;
using routing::RouteSpec;

constexpr int kTopK = 8;
const std::vector<int64_t> kRows = {8192, 32768, 1, 256, 8, 64, 1024, 4096, 16384, 65536, 131072};

RouteSeries Sigmoid(int experts, int groups, DType dtype, std::vector<int64_t> rows) {
  RouteSpec spec;
  spec.num_experts = experts;
  spec.top_k = kTopK;
  spec.num_groups = groups;
  spec.top_groups = groups / 2;
  spec.normalize = true;
  spec.normalize_epsilon = 1e-20f;
  spec.scale = 2.5f;
  return {groups > 0 ? "sigmoid_groups" : "sigmoid", spec, dtype, std::move(rows)};
}

RouteSeries Softmax(int experts, DType dtype, std::vector<int64_t> rows) {
  RouteSpec spec;
  spec.num_experts = experts;
  spec.top_k = kTopK;
  spec.score = routing::Score::kLogit;
  spec.weight = routing::Weight::kSoftmaxOfSelected;
  return {"softmax", spec, dtype, std::move(rows)};
}

std::vector<RouteSeries> QuickForwardSeries() {
  return {
      Sigmoid(256, 0, DType::kF32, {8192, 32768, 1}),
      Sigmoid(256, 8, DType::kF32, {32768}),
      Sigmoid(256, 0, DType::kBF16, {32768}),
      Softmax(128, DType::kF32, {8192}),
  };
}

}  // namespace

std::vector<RouteSeries> ForwardSeries(bool quick) {
  if (quick) return QuickForwardSeries();
  std::vector<RouteSeries> all;
  const auto add_sigmoid = [&all](int experts) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const int groups : {0, 8}) all.push_back(Sigmoid(experts, groups, dtype, kRows));
    }
  };
  add_sigmoid(256);
  for (const DType dtype : {DType::kF32, DType::kBF16}) all.push_back(Softmax(128, dtype, kRows));
  for (const int experts : {128, 384, 512, 64}) add_sigmoid(experts);
  return all;
}

std::vector<RouteSeries> BackwardSeries(bool quick) {
  const std::vector<int64_t> rows = quick ? std::vector<int64_t>{8192} : std::vector<int64_t>{8192, 32768};
  return {Sigmoid(256, 0, DType::kF32, rows), Softmax(128, DType::kF32, rows)};
}

std::optional<double> BarMicroseconds(const RouteSeries& series, int64_t rows) {
  if (series.spec.num_experts != 256 || series.spec.top_k != kTopK) return std::nullopt;
  if (series.router == "sigmoid_groups" && rows == 32768) return 28;
  if (series.router != "sigmoid") return std::nullopt;
  if (rows <= 256) return 2.3;
  if (rows == 8192) return 7;
  if (rows == 32768) return 20;
  return std::nullopt;
}

int64_t ElementBytes(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }

int64_t ForwardBytes(const RouteSeries& series, int64_t rows) {
  return rows * (series.spec.num_experts * ElementBytes(series.dtype) + series.spec.top_k * 8);
}

int64_t BackwardBytes(const RouteSeries& series, int64_t rows) {
  const int64_t element = ElementBytes(series.dtype);
  return rows * (series.spec.num_experts * element + series.spec.top_k * (8 + element));
}

std::string DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kF16:
      break;
  }
  return "f16";
}

}  // namespace evenkeel::benchmarks
