#include "synthetic/synthetic_load.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace evenkeel::synthetic {
namespace {

// What a random number is for, so that none is used twice.
enum class Use : uint64_t { kExpert, kLogit, kPadding, kToken };

// The output function of SplitMix64 (Steele, Lea and Flood 2014) at place `index` of the sequence that `key` names.
uint64_t Random(uint64_t key, uint64_t index) {
  uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t KeyOf(uint64_t seed, Use use) { return Random(Random(0, seed), static_cast<uint64_t>(use)); }

// Of one contributor's step; a row's numbers are Random(key, row), or of the sequence that this names.
uint64_t KeyOf(uint64_t seed, Use use, const TokenRange& tokens) {
  return Random(Random(KeyOf(seed, use), tokens.step), tokens.contributor);
}

// The sum of three uniform numbers of 21 bits, less its mean; every step is exact.
float Noise(uint64_t random) {
  constexpr uint64_t kMask = (1 << 21) - 1;
  const auto sum = static_cast<int32_t>((random >> 43) + ((random >> 22) & kMask) + ((random >> 1) & kMask));
  return static_cast<float>(2 * sum - static_cast<int32_t>(3 * kMask)) * 0x1p-21f;
}

// Uniform in [0, 2^32).
uint64_t High32(uint64_t random) { return random >> 32; }

// The experts of a layer in an order of the seed's.
std::vector<int> Shuffled(uint64_t key, int num_experts) {
  std::vector<int> experts(num_experts);
  std::iota(experts.begin(), experts.end(), 0);
  std::sort(experts.begin(), experts.end(),
            [&](int a, int b) { return std::make_pair(Random(key, a), a) < std::make_pair(Random(key, b), b); });
  return experts;
}

template <typename Number>
absl::Status CheckRange(const char* name, Number value, Number min, Number max) {
  if (value >= min && value <= max) return absl::OkStatus();  // false for NaN
  return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, "; it must be ", min, " to ", max));
}

absl::Status Validate(const SyntheticOptions& options) {
  for (const absl::Status& status : {
           CheckRange("layers", options.layers, 1, 4'096),
           CheckRange("num_experts", options.num_experts, 1, 16'384),
           CheckRange("skew", options.skew, 0.0, 1'000.0),
           CheckRange("drift", options.drift, 0.0, 1.0),
           CheckRange("dead_experts", options.dead_experts, 0, options.num_experts - 1),
           CheckRange("padding", options.padding, 0.0, 1.0),
           CheckRange("vocabulary", options.vocabulary, 1, 1 << 30),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SyntheticLoad> SyntheticLoad::Create(const SyntheticOptions& options) {
  absl::Status status = Validate(options);
  if (!status.ok()) return status;
  return SyntheticLoad(options);
}

SyntheticLoad::SyntheticLoad(const SyntheticOptions& options)
    : options_(options),
      drift_(static_cast<uint32_t>(static_cast<uint64_t>(options.drift * 0x1p32 + 0.5))),
      padding_(static_cast<uint64_t>(options.padding * 0x1p32 + 0.5)),
      reach_(static_cast<float>(options.skew * 1.7320508075688772)),
      phases_(static_cast<size_t>(options.layers) * options.num_experts),
      dead_(phases_.size()) {
  while (options.vocabulary >> octaves_ != 0) ++octaves_;
  const uint64_t living = options.num_experts - options.dead_experts;
  for (int layer = 0; layer < options.layers; ++layer) {
    const std::vector<int> experts = Shuffled(Random(KeyOf(options.seed, Use::kExpert), layer), options.num_experts);
    for (int place = 0; place < options.num_experts; ++place) {
      const size_t expert = static_cast<size_t>(layer) * options.num_experts + experts[place];
      dead_[expert] = place >= living;
      phases_[expert] = dead_[expert] ? 0 : static_cast<uint32_t>((uint64_t{1} << 32) * place / living);
    }
  }
}

float SyntheticLoad::Popularity(uint64_t step, int layer, int expert) const {
  const size_t index = static_cast<size_t>(layer) * options_.num_experts + expert;
  // Below all others by 1 at least: both noises stay within 3.
  if (dead_[index]) return -(reach_ + 7);
  const uint32_t phase = phases_[index] + drift_ * static_cast<uint32_t>(step);
  const uint32_t down_and_up = phase >> 31 ? phase : ~phase;  // [2^31, 2^32)
  return static_cast<float>(static_cast<int32_t>(down_and_up >> 7) - 3 * (1 << 23)) * (reach_ * 0x1p-23f);
}

void SyntheticLoad::FillLogits(const TokenRange& tokens, int layer, float* logits, int64_t stride) const {
  constexpr int kBlock = 64;  // experts whose popularity is at hand
  const uint64_t key = Random(KeyOf(options_.seed, Use::kLogit, tokens), layer);
  for (int block = 0; block < options_.num_experts; block += kBlock) {
    const int size = std::min(kBlock, options_.num_experts - block);
    float popularity[kBlock];
    for (int i = 0; i < size; ++i) popularity[i] = Popularity(tokens.step, layer, block + i);
    for (int64_t row = 0; row < tokens.rows; ++row) {
      const uint64_t row_key = Random(key, tokens.first + row);
      float* out = logits + row * stride + block;
      for (int i = 0; i < size; ++i) out[i] = Noise(Random(row_key, block + i)) + popularity[i];
    }
  }
}

void SyntheticLoad::FillValidMask(const TokenRange& tokens, uint8_t* valid_mask) const {
  const uint64_t key = KeyOf(options_.seed, Use::kPadding, tokens);
  for (int64_t row = 0; row < tokens.rows; ++row) {
    valid_mask[row] = High32(Random(key, tokens.first + row)) >= padding_;
  }
}

void SyntheticLoad::FillTokenIds(const TokenRange& tokens, int32_t* ids) const {
  const uint64_t key = KeyOf(options_.seed, Use::kToken, tokens);
  for (int64_t row = 0; row < tokens.rows; ++row) {
    // Of the last octave the vocabulary may have a part only: what falls outside is drawn again.
    uint64_t id;
    uint64_t random = Random(key, tokens.first + row);
    while (true) {
      const uint64_t octave = High32(random) * octaves_ >> 32;
      id = (uint64_t{1} << octave) - 1 + (random & ((uint64_t{1} << octave) - 1));
      if (id < options_.vocabulary) break;
      random = Random(random, 0);
    }
    ids[row] = static_cast<int32_t>(id);
  }
}

}  // namespace evenkeel::synthetic
