#include "kernels/routing/conformance/router_generators.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/ieee.h"
#include "kernels/routing/half.h"

namespace evenkeel::routing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMax = std::numeric_limits<float>::max();

void AddGroups(std::mt19937& random, RouteSpec& spec) {
  std::vector<int> divisors;
  for (int d = 2; d <= spec.num_experts; ++d) {
    if (spec.num_experts % d == 0) divisors.push_back(d);
  }
  spec.num_groups = divisors[random() % divisors.size()];
  spec.top_groups = 1 + static_cast<int>(random() % spec.num_groups);
  spec.group_score = Pick(random, {GroupScore::kTop2Sum, GroupScore::kMax, GroupScore::kTopkSum});
  spec.group_score_biased = random() % 3 != 0;
  spec.dropped_group_fill = Pick(random, {DroppedGroupFill::kNegInf, DroppedGroupFill::kZero});
}

float AnyNan(std::mt19937& random) {
  return ieee::FromBits(Pick(random, {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xffffffffu, 0x7fffffffu}));
}

float Uniform(std::mt19937& random, float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(random);
}

void Normal(std::mt19937& random, float deviation, float* row, int num_experts) {
  std::normal_distribution<float> normal(0, deviation);
  for (int e = 0; e < num_experts; ++e) row[e] = normal(random);
}

template <int kDeviation>
void NormalTimes(std::mt19937& random, float* row, int num_experts) {
  Normal(random, kDeviation, row, num_experts);
}

void Narrow(std::mt19937& random, float* row, int num_experts) { Normal(random, 1e-3f, row, num_experts); }

void AllEqual(std::mt19937& random, float* row, int num_experts) {
  std::fill_n(row, num_experts, Pick(random, {0.0f, -0.0f, 0.25f, -3.0f, 40.0f, -120.0f}));
}

// Each expert has one of `values`.
template <int kValues>
void FewValues(std::mt19937& random, float* row, int num_experts) {
  float values[kValues];
  Normal(random, 3, values, kValues);
  for (int e = 0; e < num_experts; ++e) row[e] = values[random() % kValues];
}

// A handful above a plain of ties, or the plain above a handful.
void PlainWithPeaks(std::mt19937& random, float* row, int num_experts) {
  std::fill_n(row, num_experts, -1.0f);
  const float peak = Pick(random, {1.0f, -2.0f});
  for (int count = static_cast<int>(random() % 40); count > 0; --count) {
    row[random() % num_experts] = peak + Pick(random, {0.0f, 0.25f, Uniform(random, 0, 0.5f)});
  }
}

void ZerosOfBothSigns(std::mt19937& random, float* row, int num_experts) {
  for (int e = 0; e < num_experts; ++e) row[e] = random() % 2 == 0 ? 0.0f : -0.0f;
}

void BFloat16s(std::mt19937& random, float* row, int num_experts) {
  Normal(random, 2, row, num_experts);
  for (int e = 0; e < num_experts; ++e) row[e] = FloatFromBFloat16(BFloat16FromFloat(row[e]));
}

void Ascending(std::mt19937& random, float* row, int num_experts) {
  Normal(random, 2, row, num_experts);
  std::sort(row, row + num_experts);
}

void Descending(std::mt19937& random, float* row, int num_experts) {
  Ascending(random, row, num_experts);
  std::reverse(row, row + num_experts);
}

// Equal pairs far apart, so that ties cross the borders of vectors and groups.
void Mirrored(std::mt19937& random, float* row, int num_experts) {
  Normal(random, 2, row, num_experts);
  for (int e = 0; e < num_experts / 2; ++e) row[num_experts - 1 - e] = row[e];
}

void Huge(std::mt19937& random, float* row, int num_experts) {
  for (int e = 0; e < num_experts; ++e) row[e] = Uniform(random, -1, 1) * kMax;
}

void HugeAndPositive(std::mt19937& random, float* row, int num_experts) {
  for (int e = 0; e < num_experts; ++e) row[e] = Uniform(random, 0.5f, 1) * kMax;
}

void Subnormal(std::mt19937& random, float* row, int num_experts) {
  for (int e = 0; e < num_experts; ++e) {
    row[e] = ieee::FromBits((random() & 0x807fffffu) >> (random() % 3 == 0 ? 12 : 0));
  }
}

// Where sigmoids and exponentials are subnormal or 0.
void FarBelow(std::mt19937& random, float* row, int num_experts) {
  for (int e = 0; e < num_experts; ++e) row[e] = Uniform(random, -110, -80);
}

// Where sigmoids are 1, or nearly.
void FarAbove(std::mt19937& random, float* row, int num_experts) {
  for (int e = 0; e < num_experts; ++e) row[e] = Uniform(random, 10, 25);
}

template <typename Odd>
void Sprinkle(std::mt19937& random, int count, Odd odd, float* row, int num_experts) {
  Normal(random, 2, row, num_experts);
  for (; count > 0; --count) row[random() % num_experts] = odd();
}

void OneNan(std::mt19937& random, float* row, int num_experts) {
  Sprinkle(
      random, 1, [&] { return AnyNan(random); }, row, num_experts);
}
void OneInfinity(std::mt19937& random, float* row, int num_experts) {
  Sprinkle(
      random, 1, [] { return kInfinity; }, row, num_experts);
}
void OneMinusInfinity(std::mt19937& random, float* row, int num_experts) {
  Sprinkle(
      random, 1, [] { return -kInfinity; }, row, num_experts);
}
void SomeMinusInfinity(std::mt19937& random, float* row, int num_experts) {
  Sprinkle(
      random, num_experts / 2, [] { return -kInfinity; }, row, num_experts);
}
void SomeOdd(std::mt19937& random, float* row, int num_experts) {
  const auto odd = [&] { return Pick(random, {kInfinity, -kInfinity, AnyNan(random), 0.0f, -0.0f, kMax, -kMax}); };
  Sprinkle(random, 8, odd, row, num_experts);
}

template <typename Odd>
void AllBut(std::mt19937& random, int finite, Odd odd, float* row, int num_experts) {
  for (int e = 0; e < num_experts; ++e) row[e] = odd();
  for (; finite > 0; --finite) row[random() % num_experts] = Uniform(random, -3, 3);
}

void AllNan(std::mt19937& random, float* row, int num_experts) {
  AllBut(
      random, 0, [&] { return AnyNan(random); }, row, num_experts);
}
void AllInfinity(std::mt19937& random, float* row, int num_experts) {
  AllBut(
      random, 0, [] { return kInfinity; }, row, num_experts);
}
void AllMinusInfinity(std::mt19937& random, float* row, int num_experts) {
  AllBut(
      random, 0, [] { return -kInfinity; }, row, num_experts);
}
void FewNotNan(std::mt19937& random, float* row, int num_experts) {
  AllBut(
      random, 5, [&] { return AnyNan(random); }, row, num_experts);
}
void FewNotMinusInfinity(std::mt19937& random, float* row, int num_experts) {
  AllBut(
      random, 5, [] { return -kInfinity; }, row, num_experts);
}

// Sums of two are minus infinity, and some groups have no candidate at all.
void LowestOrNan(std::mt19937& random, float* row, int num_experts) {
  for (int e = 0; e < num_experts; ++e) row[e] = random() % 3 == 0 ? Uniform(random, -1, -0.8f) * kMax : AnyNan(random);
}

}  // namespace

RouteSpec RandomSpec(std::mt19937& random, int num_experts) {
  for (;;) {
    RouteSpec spec;
    spec.num_experts = num_experts;
    spec.top_k = 1 + static_cast<int>(random() % std::min(num_experts, 32));
    spec.score = Pick(random, {Score::kSigmoid, Score::kSoftmax, Score::kSqrtSoftplus, Score::kLogit});
    spec.weight =
        Pick(random, {Weight::kScore, Weight::kSoftmax, Weight::kSoftmaxOfSelected, Weight::kSigmoidOfSelected});
    if (num_experts > 1 && random() % 2 == 0) AddGroups(random, spec);
    spec.normalize = random() % 2 == 0;
    spec.normalize_epsilon = Pick(random, {0.0f, 1e-20f, 1e-6f});
    spec.normalize_min = Pick(random, {0.0f, 1e-12f});
    spec.scale = Pick(random, {1.0f, 2.5f, 0.3f});
    spec.scale_before_bias = random() % 4 == 0;
    if (Validate(spec).ok()) return spec;
  }
}

Problem RandomProblem(std::mt19937& random, const RouteSpec& spec, int rows) {
  Problem problem;
  problem.spec = spec;
  std::normal_distribution<float> normal(Pick(random, {0.0f, -3.0f}), Pick(random, {0.5f, 2.0f, 6.0f}));
  problem.logits.resize(static_cast<size_t>(rows) * spec.num_experts);
  for (float& logit : problem.logits) logit = normal(random);
  const float offset = Pick(random, {0.0f, 7.0f, -5.0f});
  const float spread = Pick(random, {0.0f, 1e-3f, 0.3f});
  std::uniform_real_distribution<float> uniform(-spread, spread);
  if (random() % 4 != 0) {
    for (int e = 0; e < spec.num_experts; ++e) problem.bias.push_back(offset + uniform(random));
  }
  return problem;
}

const std::vector<RowKind>& RowKinds() {
  static const auto* kinds = new std::vector<RowKind>{
      {"normal", NormalTimes<2>, true},
      {"wide", NormalTimes<30>, true},
      {"narrow", Narrow, true},
      {"all equal", AllEqual, true},
      {"two values", FewValues<2>, true},
      {"three values", FewValues<3>, true},
      {"twenty values", FewValues<20>, true},
      {"plain with peaks", PlainWithPeaks, true},
      {"zeros of both signs", ZerosOfBothSigns, true},
      {"bfloat16", BFloat16s, true},
      {"ascending", Ascending, true},
      {"descending", Descending, true},
      {"mirrored", Mirrored, true},
      {"huge", Huge, true},
      {"huge and positive", HugeAndPositive, true},
      {"subnormal", Subnormal, true},
      {"far below", FarBelow, true},
      {"far above", FarAbove, true},
      {"one NaN", OneNan, false},
      {"one infinity", OneInfinity, false},
      {"one minus infinity", OneMinusInfinity, false},
      {"some minus infinity", SomeMinusInfinity, false},
      {"some odd", SomeOdd, false},
      {"all NaN", AllNan, false},
      {"all infinity", AllInfinity, false},
      {"all minus infinity", AllMinusInfinity, false},
      {"few not NaN", FewNotNan, false},
      {"few not minus infinity", FewNotMinusInfinity, false},
      {"lowest or NaN", LowestOrNan, false},
  };
  return *kinds;
}

std::vector<float> RowsOfEveryKind(std::mt19937& random, int num_experts, int64_t rows) {
  const std::vector<RowKind>& kinds = RowKinds();
  std::vector<float> logits(rows * num_experts);
  for (int64_t t = 0; t < rows; ++t) kinds[t % kinds.size()].fill(random, &logits[t * num_experts], num_experts);
  return logits;
}

std::vector<float> RandomBias(std::mt19937& random, int num_experts) {
  std::vector<float> bias(num_experts);
  const auto fill = [&](float low, float high) {
    for (float& b : bias) b = Uniform(random, low, high);
  };
  switch (random() % 10) {
    case 0:
      return {};
    case 1:
      ZerosOfBothSigns(random, bias.data(), num_experts);
      break;
    case 2:
      fill(-0.1f, 0.1f);
      break;
    case 3:
      fill(6.999f, 7.001f);
      break;
    case 4:
      fill(-9, -5);
      break;
    case 5:
      fill(-100, 100);
      break;
    case 6:
      fill(-0.1f, 0.1f);
      bias[random() % num_experts] = 50;
      break;
    case 7:
      Sprinkle(
          random, 3,
          [&] {
            return Pick(random, {kInfinity, -kInfinity, AnyNan(random)});
          },
          bias.data(), num_experts);
      break;
    case 8:
      AllBut(
          random, 10, [] { return -kInfinity; }, bias.data(), num_experts);
      break;
    case 9:
      Huge(random, bias.data(), num_experts);
      break;
  }
  return bias;
}

std::vector<RouteSpec> GroupedSpecs() {
  std::vector<RouteSpec> specs;
  for (const auto& [num_experts, groups] : {std::pair(64, 8),
                                            {64, 2},
                                            {128, 4},
                                            {128, 8},
                                            {192, 3},
                                            {256, 8},
                                            {512, 16},
                                            {512, 8},
                                            {1024, 32},
                                            {1024, 16},
                                            {60, 3},
                                            {72, 6},
                                            {160, 8},
                                            {384, 8},
                                            {384, 12},
                                            {576, 12},
                                            {560, 28}}) {
    RouteSpec spec;
    spec.num_experts = num_experts;
    spec.num_groups = groups;
    spec.top_groups = groups / 2;
    spec.top_k = 8;
    spec.normalize = true;
    specs.push_back(spec);
  }
  return specs;
}

}  // namespace evenkeel::routing
