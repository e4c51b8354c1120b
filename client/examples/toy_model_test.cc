#include "client/examples/toy_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "client/examples/generator.h"
#include "gtest/gtest.h"

namespace text_worker {
namespace {

constexpr char kText[] = "It was the best of times, it was the worst of times, it was the age of wisdom";

std::vector<size_t> AllPositions() {
  std::vector<size_t> positions(sizeof(kText) - 1);
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = i;
  return positions;
}

// The logits of all of kText at `layer`: [positions, experts].
std::vector<float> LogitsOf(ToyModel* model, int layer, int experts) {
  const std::vector<size_t> positions = AllPositions();
  model->Embed(kText, positions.data(), positions.size());
  const float* logits = model->Logits(layer);
  std::vector<float> dense;
  for (size_t row = 0; row < positions.size(); ++row) {
    const float* begin = logits + row * model->logits_stride();
    dense.insert(dense.end(), begin, begin + experts);
  }
  return dense;
}

TEST(GeneratorTest, IsTheSameEverywhere) {
  Generator generator(1234567);
  EXPECT_EQ(generator.Next(), 6457827717110365317u);
  EXPECT_EQ(generator.Next(), 3203168211198807973u);
}

TEST(GeneratorTest, NormalNumbersHaveMeanZeroAndVarianceOne) {
  Generator generator(1);
  constexpr int kDraws = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double number = generator.NextNormal();
    sum += number;
    squares += number * number;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1, 0.02);
}

TEST(ToyModelTest, LogitsHaveVarianceOne) {
  ToyModel model(1, 64, 2, 40);
  for (const int layer : {0, 1}) {
    double squares = 0;
    const std::vector<float> logits = LogitsOf(&model, layer, 40);
    for (const float logit : logits) squares += logit * logit;
    EXPECT_NEAR(squares / static_cast<double>(logits.size()), 1, 0.2);
  }
}

TEST(ToyModelTest, TheSeedDecidesEverything) {
  ToyModel one(7, 24, 2, 20);
  ToyModel twin(7, 24, 2, 20);
  ToyModel other(8, 24, 2, 20);
  EXPECT_EQ(LogitsOf(&one, 1, 20), LogitsOf(&twin, 1, 20));
  EXPECT_NE(LogitsOf(&one, 1, 20), LogitsOf(&other, 1, 20));
  EXPECT_NE(LogitsOf(&one, 0, 20), LogitsOf(&one, 1, 20)) << "layers have routers of their own";
}

TEST(ToyModelTest, ATokensLogitsDoNotDependOnItsBatch) {
  ToyModel model(7, 24, 1, 20);
  const std::vector<float> all = LogitsOf(&model, 0, 20);
  const std::vector<size_t> positions = AllPositions();
  for (const size_t rows : {1, 2, 3, 4, 5}) {
    const size_t first = 30;
    model.Embed(kText, positions.data() + first, rows);
    const float* logits = model.Logits(0);
    for (size_t row = 0; row < rows; ++row) {
      EXPECT_EQ(std::memcmp(logits + row * model.logits_stride(), &all[(first + row) * 20], 20 * sizeof(float)), 0);
    }
  }
}

TEST(ToyModelTest, SeesItsContextAndNoMore) {
  constexpr int kAt = 40;
  const size_t position = kAt;
  ToyModel model(7, 24, 1, 20);
  const auto first_logit = [&](const std::string& text) {
    model.Embed(text, &position, 1);
    return model.Logits(0)[0];
  };
  const float original = first_logit(kText);
  for (int at = 0; at < static_cast<int>(sizeof(kText)) - 1; ++at) {
    std::string changed = kText;
    changed[at] ^= 1;
    const bool seen = at <= kAt && at > kAt - ToyModel::kContext;
    EXPECT_EQ(first_logit(changed) != original, seen) << at;
  }
}

TEST(ToyModelTest, TheTextGoesRound) {
  const size_t first = 0;
  const size_t next = 5;
  ToyModel model(7, 24, 1, 20);
  model.Embed("abcdefgh", &first, 1);
  const float at_the_start = model.Logits(0)[0];
  model.Embed("defghabc", &next, 1);
  EXPECT_EQ(model.Logits(0)[0], at_the_start);
}

}  // namespace
}  // namespace text_worker
