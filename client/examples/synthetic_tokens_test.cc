#include "client/examples/synthetic_tokens.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "synthetic/synthetic_load.h"

namespace text_worker {
namespace {

Flags MadeUp(int rank) {
  Flags flags;
  flags.rank = rank;
  flags.world_size = 2;
  flags.layers = 2;
  flags.experts = 8;
  flags.top_k = 2;
  flags.seed = 5;
  flags.synthetic = true;
  flags.skew = 0.7;
  flags.drift = 0.01;
  flags.dead_experts = 1;
  flags.padding = 0.5;
  return flags;
}

TEST(SyntheticTokensTest, AreThoseOfTheLibrary) {
  evenkeel::synthetic::SyntheticOptions options;
  options.seed = 5;
  options.layers = 2;
  options.num_experts = 8;
  options.skew = 0.7;
  options.drift = 0.01;
  options.dead_experts = 1;
  options.padding = 0.5;
  const auto load = evenkeel::synthetic::SyntheticLoad::Create(options);
  ASSERT_TRUE(load.ok());
  for (const int rank : {0, 1}) {
    evenkeel::Result<std::unique_ptr<TokenSource>> source = SyntheticTokens(MadeUp(rank));
    ASSERT_TRUE(source.ok());
    for (const uint64_t step : {3, 4}) {
      (*source)->BeginStep(step);
      (*source)->Take(100, 30);
      std::vector<uint8_t> valid(30);
      load->FillValidMask({step, rank, 100, 30}, valid.data());
      for (const int layer : {0, 1}) {
        evenkeel::Result<evenkeel::Tokens> given = (*source)->Tokens(layer);
        ASSERT_TRUE(given.ok());
        const evenkeel::Tokens& tokens = *given;
        ASSERT_EQ(tokens.rows, 30);
        ASSERT_EQ(tokens.logits_stride, 8);
        std::vector<float> logits(30 * 8);
        load->FillLogits({step, rank, 100, 30}, layer, logits.data(), 8);
        EXPECT_TRUE(std::equal(logits.begin(), logits.end(), static_cast<const float*>(tokens.logits)));
        EXPECT_TRUE(std::equal(valid.begin(), valid.end(), tokens.valid_mask));
      }
    }
  }
}

TEST(SyntheticTokensTest, RefusesWhatTheLibraryRefuses) {
  Flags flags = MadeUp(0);
  flags.dead_experts = 8;
  const evenkeel::Result<std::unique_ptr<TokenSource>> source = SyntheticTokens(flags);
  EXPECT_EQ(source.status().code(), evenkeel::StatusCode::kInvalidArgument);
  EXPECT_EQ(source.status().message(), "dead_experts is 8; it must be 0 to 7");
}

}  // namespace
}  // namespace text_worker
