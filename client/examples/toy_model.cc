#include "client/examples/toy_model.h"

#include <algorithm>
#include <cmath>

#include "client/examples/generator.h"

namespace text_worker {
namespace {

// The tile of the matrix product whose sums stay in registers.
constexpr int kTileRows = 4;
constexpr int kTileColumns = 16;

int64_t RoundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

std::vector<float> RandomNumbers(Generator* generator, size_t count) {
  std::vector<float> numbers(count);
  for (float& number : numbers) number = generator->NextNormal();
  return numbers;
}

// Gives a vector of `size` the length that a row of independent numbers of variance 1 has on average.
void Normalise(int size, float* vector) {
  float squares = 0;
  for (int i = 0; i < size; ++i) squares += vector[i] * vector[i];
  const float scale = squares > 0 ? std::sqrt(static_cast<float>(size) / squares) : 0;
  for (int i = 0; i < size; ++i) vector[i] *= scale;
}

// out[r, c] = sum over k of states[r, k] * router[k, c], in the order of k, for one tile.
void MultiplyTile(const float* states, const float* router, int hidden, int stride, float* out) {
  float sums[kTileRows][kTileColumns] = {};
  for (int k = 0; k < hidden; ++k) {
    const float* weights = router + static_cast<int64_t>(k) * stride;
    for (int r = 0; r < kTileRows; ++r) {
      const float state = states[static_cast<int64_t>(r) * hidden + k];
      for (int c = 0; c < kTileColumns; ++c) sums[r][c] += state * weights[c];
    }
  }
  for (int r = 0; r < kTileRows; ++r)
    std::copy(sums[r], sums[r] + kTileColumns, out + static_cast<int64_t>(r) * stride);
}

}  // namespace

ToyModel::ToyModel(uint64_t seed, int hidden, int layers, int experts)
    : hidden_(hidden), padded_experts_(static_cast<int>(RoundUp(experts, kTileColumns))) {
  Generator generator(seed);
  embeddings_ = RandomNumbers(&generator, size_t{kContext} * 256 * hidden);
  // Logits of variance 1.
  const float scale = 1 / std::sqrt(static_cast<float>(hidden));
  for (int layer = 0; layer < layers; ++layer) {
    std::vector<float> router(static_cast<size_t>(hidden) * padded_experts_);
    for (int k = 0; k < hidden; ++k) {
      float* row = &router[static_cast<size_t>(k) * padded_experts_];
      for (int expert = 0; expert < experts; ++expert) row[expert] = generator.NextNormal() * scale;
    }
    routers_.push_back(std::move(router));
  }
}

void ToyModel::Embed(const std::string& text, const size_t* positions, int64_t rows) {
  rows_ = rows;
  const int64_t padded_rows = RoundUp(rows, kTileRows);
  states_.assign(padded_rows * hidden_, 0.0f);
  logits_.resize(padded_rows * padded_experts_);
  for (int64_t row = 0; row < rows; ++row) {
    float* state = &states_[row * hidden_];
    size_t position = positions[row];
    for (int back = 0; back < kContext; ++back) {
      const size_t byte = static_cast<unsigned char>(text[position]);
      const float* embedding = &embeddings_[(back * 256 + byte) * hidden_];
      for (int i = 0; i < hidden_; ++i) state[i] += embedding[i];
      position = (position == 0 ? text.size() : position) - 1;
    }
    Normalise(hidden_, state);
  }
}

const float* ToyModel::Logits(int layer) {
  const float* router = routers_[layer].data();
  for (int64_t row = 0; row < rows_; row += kTileRows) {
    for (int column = 0; column < padded_experts_; column += kTileColumns) {
      MultiplyTile(&states_[row * hidden_], router + column, hidden_, padded_experts_,
                   &logits_[row * padded_experts_ + column]);
    }
  }
  return logits_.data();
}

}  // namespace text_worker
