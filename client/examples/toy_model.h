#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace text_worker {

// A language model's routers without the model: a token's hidden state is made of the bytes around it by fixed random
// embeddings, and every layer's gate is a fixed random matrix. Nothing is trained and nothing favours any expert; how
// uneven the load is, is the text's doing.
//
// The seed decides everything, in float32 operations whose order is written down: equal bits on every machine.
class ToyModel {
 public:
  // Bytes that a hidden state is made of: the token's own and those before it.
  static constexpr int kContext = 12;

  // All sizes at least 1.
  ToyModel(uint64_t seed, int hidden, int layers, int experts);

  // Hidden states of the tokens at `positions` [rows] of `text`, which goes round: the text's last bytes come before
  // its first. Valid until the next call.
  void Embed(const std::string& text, const size_t* positions, int64_t rows);

  // Router logits of those tokens at `layer`: float32 [rows, logits_stride()], of which the first `experts` of each row
  // count. Valid until the next call.
  const float* Logits(int layer);
  int64_t logits_stride() const { return padded_experts_; }

 private:
  const int hidden_;
  const int padded_experts_;
  std::vector<float> embeddings_;            // [kContext, 256, hidden]
  std::vector<std::vector<float>> routers_;  // each [hidden, padded_experts]
  int64_t rows_ = 0;
  std::vector<float> states_;  // [rows rounded up, hidden]
  std::vector<float> logits_;  // [rows rounded up, padded_experts]
};

}  // namespace text_worker
