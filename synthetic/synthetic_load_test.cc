#include "synthetic/synthetic_load.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::synthetic {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Le;

SyntheticLoad Make(const SyntheticOptions& options) {
  absl::StatusOr<SyntheticLoad> load = SyntheticLoad::Create(options);
  EXPECT_TRUE(load.ok()) << load.status();
  return *std::move(load);
}

TokenRange Rows(int64_t first, int64_t rows, uint64_t step = 1, int contributor = 0) {
  return {step, contributor, first, rows};
}

std::vector<float> Logits(const SyntheticLoad& load, const TokenRange& tokens, int layer = 0) {
  std::vector<float> logits(tokens.rows * load.options().num_experts);
  load.FillLogits(tokens, layer, logits.data(), load.options().num_experts);
  return logits;
}

std::vector<uint8_t> ValidMask(const SyntheticLoad& load, const TokenRange& tokens) {
  std::vector<uint8_t> valid(tokens.rows);
  load.FillValidMask(tokens, valid.data());
  return valid;
}

std::vector<int32_t> TokenIds(const SyntheticLoad& load, const TokenRange& tokens) {
  std::vector<int32_t> ids(tokens.rows);
  load.FillTokenIds(tokens, ids.data());
  return ids;
}

// How often each expert has one of the top_k largest logits of a row.
std::vector<int64_t> TopCounts(const SyntheticLoad& load, int top_k, const TokenRange& tokens, int layer = 0) {
  const int experts = load.options().num_experts;
  const std::vector<float> logits = Logits(load, tokens, layer);
  std::vector<int64_t> counts(experts);
  std::vector<int> order(experts);
  for (int64_t row = 0; row < tokens.rows; ++row) {
    const float* values = &logits[row * experts];
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + top_k, order.end(),
                      [&](int a, int b) { return values[a] > values[b]; });
    for (int slot = 0; slot < top_k; ++slot) ++counts[order[slot]];
  }
  return counts;
}

double MaxViolation(const std::vector<int64_t>& counts) {
  const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
  return *std::max_element(counts.begin(), counts.end()) * counts.size() / sum - 1;
}

int MostPopular(const std::vector<int64_t>& counts) {
  return std::max_element(counts.begin(), counts.end()) - counts.begin();
}

// FNV-1a.
template <typename T>
uint64_t Hash(const std::vector<T>& values, uint64_t hash = 0xcbf29ce484222325) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
  for (size_t i = 0; i < values.size() * sizeof(T); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

SyntheticOptions Uneven() {
  SyntheticOptions options;
  options.seed = 7;
  options.layers = 3;
  options.num_experts = 100;  // more than one block, and a part of one
  options.skew = 1.5;
  options.drift = 0.013;
  options.dead_experts = 5;
  options.padding = 0.2;
  options.vocabulary = 1000;
  return options;
}

// The bits are a promise: runs of other machines and other days are compared by them.
TEST(SyntheticLoadTest, TheBitsAreTheSameEverywhere) {
  const SyntheticLoad load = Make(Uneven());
  const TokenRange tokens = Rows(1000, 257, /*step=*/40, /*contributor=*/2);
  EXPECT_EQ(Hash(Logits(load, tokens, 2)), 0xe88b0fed69ea4fd5u);
  EXPECT_EQ(Hash(ValidMask(load, tokens)), 0x64ecd0e21a93748cu);
  EXPECT_EQ(Hash(TokenIds(load, tokens)), 0xdd3e418e4724734du);
}

TEST(SyntheticLoadTest, ARowIsTheSameInAnyBatch) {
  const SyntheticLoad load = Make(Uneven());
  const int experts = load.options().num_experts;
  const std::vector<float> logits = Logits(load, Rows(0, 100), 1);
  const std::vector<uint8_t> valid = ValidMask(load, Rows(0, 100));
  const std::vector<int32_t> ids = TokenIds(load, Rows(0, 100));
  for (const TokenRange& part : {Rows(0, 1), Rows(1, 32), Rows(33, 67), Rows(99, 1)}) {
    EXPECT_EQ(Logits(load, part, 1), std::vector<float>(logits.begin() + part.first * experts,
                                                        logits.begin() + (part.first + part.rows) * experts));
    EXPECT_EQ(ValidMask(load, part),
              std::vector<uint8_t>(valid.begin() + part.first, valid.begin() + part.first + part.rows));
    EXPECT_EQ(TokenIds(load, part),
              std::vector<int32_t>(ids.begin() + part.first, ids.begin() + part.first + part.rows));
  }
}

TEST(SyntheticLoadTest, NothingIsWrittenBetweenTheRows) {
  const SyntheticLoad load = Make(Uneven());
  const int experts = load.options().num_experts;
  const int64_t stride = experts + 3;
  std::vector<float> strided(4 * stride, -77.0f);
  load.FillLogits(Rows(5, 4), 0, strided.data(), stride);
  const std::vector<float> dense = Logits(load, Rows(5, 4));
  for (int row = 0; row < 4; ++row) {
    for (int i = 0; i < stride; ++i) {
      EXPECT_EQ(strided[row * stride + i], i < experts ? dense[row * experts + i] : -77.0f);
    }
  }
}

TEST(SyntheticLoadTest, EveryPartOfAPlaceMatters) {
  SyntheticOptions options = Uneven();
  options.drift = 0;  // or the step would matter by it
  const SyntheticLoad load = Make(options);
  std::vector<std::vector<float>> logits = {
      Logits(load, Rows(0, 8), 0),       Logits(load, Rows(8, 8), 0),       Logits(load, Rows(0, 8), 1),
      Logits(load, Rows(0, 8, 2, 0), 0), Logits(load, Rows(0, 8, 1, 1), 0),
  };
  options.seed = 8;
  logits.push_back(Logits(Make(options), Rows(0, 8), 0));
  std::vector<std::vector<uint8_t>> masks = {ValidMask(load, Rows(0, 200)), ValidMask(load, Rows(0, 200, 2, 0)),
                                             ValidMask(load, Rows(0, 200, 1, 1)),
                                             ValidMask(Make(options), Rows(0, 200))};
  std::vector<std::vector<int32_t>> ids = {TokenIds(load, Rows(0, 200)), TokenIds(load, Rows(0, 200, 2, 0)),
                                           TokenIds(load, Rows(0, 200, 1, 1)), TokenIds(Make(options), Rows(0, 200))};
  const auto expect_distinct = [](auto* values) {
    std::sort(values->begin(), values->end());
    EXPECT_EQ(std::unique(values->begin(), values->end()), values->end());
  };
  expect_distinct(&logits);
  expect_distinct(&masks);
  expect_distinct(&ids);
}

TEST(SyntheticLoadTest, TheNoiseIsStandard) {
  const SyntheticLoad load = Make({});
  const std::vector<float> logits = Logits(load, Rows(0, 20'000));
  double sum = 0, squares = 0, neighbours = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    sum += logits[i];
    squares += double{logits[i]} * logits[i];
    if (i > 0) neighbours += double{logits[i]} * logits[i - 1];
  }
  // Six standard deviations of each estimate.
  const double n = logits.size();
  EXPECT_NEAR(sum / n, 0, 6 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 6 * std::sqrt(2 / n));
  EXPECT_NEAR(neighbours / n, 0, 6 / std::sqrt(n));
  EXPECT_LT(*std::max_element(logits.begin(), logits.end()), 3);
  EXPECT_GT(*std::min_element(logits.begin(), logits.end()), -3);
}

// The table of the header.
TEST(SyntheticLoadTest, SkewDecidesTheMaximumViolation) {
  struct Line {
    int experts, top_k;
    std::vector<double> violations;
  };
  const std::vector<double> skews = {0, 0.25, 0.5, 1, 2, 4};
  for (const Line& line : {Line{64, 6, {0, 0.9, 1.9, 3.6, 6.0, 8.5}}, Line{256, 8, {0, 1.3, 2.8, 5.4, 9.6, 15.7}}}) {
    for (size_t i = 0; i < skews.size(); ++i) {
      SyntheticOptions options;
      options.num_experts = line.experts;
      options.skew = skews[i];
      // At skew 0 the largest of the counts lies a few standard deviations above their mean.
      EXPECT_NEAR(MaxViolation(TopCounts(Make(options), line.top_k, Rows(0, 40'000))), line.violations[i], 0.2)
          << line.experts << " experts, skew " << skews[i];
    }
  }
}

TEST(SyntheticLoadTest, SkewIsTheStandardDeviationOfPopularity) {
  SyntheticOptions options;
  options.layers = 2;
  options.skew = 2;
  options.drift = 0.01;
  constexpr int kRows = 2000;
  for (const auto& [step, layer] : {std::pair<uint64_t, int>{0, 0}, {17, 1}, {1'000'000'007, 0}}) {
    const std::vector<float> logits = Logits(Make(options), Rows(0, kRows, step), layer);
    double squares = 0;
    for (int expert = 0; expert < 64; ++expert) {
      double mean = 0;
      for (int row = 0; row < kRows; ++row) mean += logits[row * 64 + expert] / double{kRows};
      EXPECT_LE(std::abs(mean), 2 * 1.7321 + 0.15);
      squares += mean * mean;
    }
    EXPECT_NEAR(std::sqrt(squares / 64), 2, 0.05) << "step " << step;
  }
}

TEST(SyntheticLoadTest, LayersPreferOtherExperts) {
  SyntheticOptions options;
  options.layers = 2;
  options.skew = 2;
  const SyntheticLoad load = Make(options);
  EXPECT_NE(MostPopular(TopCounts(load, 6, Rows(0, 1000), 0)), MostPopular(TopCounts(load, 6, Rows(0, 1000), 1)));
}

TEST(SyntheticLoadTest, DriftTurnsTheOrderRoundInHalfACycle) {
  SyntheticOptions options;
  options.skew = 1;
  options.drift = 0.01;
  const SyntheticLoad load = Make(options);
  const std::vector<int64_t> first = TopCounts(load, 6, Rows(0, 2000, 1));
  const int best = MostPopular(first);
  const std::vector<int64_t> next = TopCounts(load, 6, Rows(0, 2000, 2));
  const std::vector<int64_t> half = TopCounts(load, 6, Rows(0, 2000, 51));
  const std::vector<int64_t> whole = TopCounts(load, 6, Rows(0, 2000, 101));
  EXPECT_NEAR(next[best], first[best], 0.2 * first[best]);
  EXPECT_LT(half[best], 0.1 * first[best]);
  EXPECT_NEAR(whole[best], first[best], 0.2 * first[best]);
  EXPECT_NEAR(MaxViolation(half), MaxViolation(first), 0.3);

  options.drift = 0;
  const SyntheticLoad still = Make(options);
  EXPECT_EQ(MostPopular(TopCounts(still, 6, Rows(0, 2000, 1))), MostPopular(TopCounts(still, 6, Rows(0, 2000, 51))));
}

TEST(SyntheticLoadTest, DeadExpertsAreBelowAllOthers) {
  for (const double skew : {0.0, 3.0, 1000.0}) {
    SyntheticOptions options;
    options.layers = 2;
    options.num_experts = 32;
    options.skew = skew;
    options.drift = 0.3;
    options.dead_experts = 7;
    const SyntheticLoad load = Make(options);
    std::vector<std::vector<int>> dead_at_first;
    for (uint64_t step = 1; step <= 4; ++step) {
      for (int layer = 0; layer < 2; ++layer) {
        // Of as many slots as there are living experts, the dead ones win none and the others one in every row.
        const std::vector<int64_t> counts = TopCounts(load, 32 - 7, Rows(0, 300, step), layer);
        std::vector<int> dead;
        for (int expert = 0; expert < 32; ++expert) {
          if (counts[expert] == 0) {
            dead.push_back(expert);
          } else {
            EXPECT_EQ(counts[expert], 300);
          }
        }
        EXPECT_EQ(dead.size(), 7);
        if (step == 1) {
          dead_at_first.push_back(dead);
        } else {
          EXPECT_EQ(dead, dead_at_first[layer]);
        }
      }
    }
    EXPECT_NE(dead_at_first[0], dead_at_first[1]);
  }
}

TEST(SyntheticLoadTest, PaddingIsItsShareOfTheTokens) {
  for (const double padding : {0.0, 0.1, 0.5, 1.0}) {
    SyntheticOptions options;
    options.padding = padding;
    const std::vector<uint8_t> valid = ValidMask(Make(options), Rows(0, 100'000));
    EXPECT_THAT(valid, Each(Le(1)));
    const double share = 1 - std::accumulate(valid.begin(), valid.end(), 0.0) / valid.size();
    EXPECT_NEAR(share, padding, 6 * std::sqrt(padding * (1 - padding) / valid.size()));
  }
}

TEST(SyntheticLoadTest, TokensFollowZipfInOctaves) {
  SyntheticOptions options;
  options.vocabulary = 127;  // seven octaves
  std::vector<int64_t> counts(127);
  constexpr int kTokens = 140'000;
  for (const int32_t id : TokenIds(Make(options), Rows(0, kTokens))) ++counts.at(id);
  for (int octave = 0; octave < 7; ++octave) {
    for (int id = (1 << octave) - 1; id < (2 << octave) - 1; ++id) {
      const double expected = kTokens / 7.0 / (1 << octave);
      EXPECT_NEAR(counts[id], expected, 6 * std::sqrt(expected)) << "id " << id;
    }
  }
}

TEST(SyntheticLoadTest, TokensStayWithinAnyVocabulary) {
  for (const int vocabulary : {1, 2, 3, 4, 100, 151'936, 1 << 30}) {
    SyntheticOptions options;
    options.vocabulary = vocabulary;
    const std::vector<int32_t> ids = TokenIds(Make(options), Rows(0, 5000));
    EXPECT_GE(*std::min_element(ids.begin(), ids.end()), 0);
    const int largest = *std::max_element(ids.begin(), ids.end());
    EXPECT_LT(largest, vocabulary);
    EXPECT_GE(largest, (vocabulary - 1) / 2);
  }
}

TEST(SyntheticLoadTest, RefusesWhatIsOutOfRangeAndNamesIt) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::pair<void (*)(SyntheticOptions*, double), std::pair<const char*, std::vector<double>>>> cases =
      {
          {[](SyntheticOptions* o, double value) { o->layers = value; }, {"layers", {0, -1, 4097}}},
          {[](SyntheticOptions* o, double value) { o->num_experts = value; }, {"num_experts", {0, -1, 16385}}},
          {[](SyntheticOptions* o, double value) { o->skew = value; }, {"skew", {-0.1, 1000.5, nan}}},
          {[](SyntheticOptions* o, double value) { o->drift = value; }, {"drift", {-0.1, 1.1, nan}}},
          {[](SyntheticOptions* o, double value) { o->dead_experts = value; }, {"dead_experts", {-1, 64}}},
          {[](SyntheticOptions* o, double value) { o->padding = value; }, {"padding", {-0.1, 1.1, nan}}},
          {[](SyntheticOptions* o, double value) { o->vocabulary = value; }, {"vocabulary", {0, (1 << 30) + 1.0}}},
      };
  for (const auto& [set, wrong] : cases) {
    for (const double value : wrong.second) {
      SyntheticOptions options;
      set(&options, value);
      const absl::Status status = SyntheticLoad::Create(options).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong.first << " " << value;
      EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(wrong.first) + " is "));
    }
  }
}

}  // namespace
}  // namespace evenkeel::synthetic
