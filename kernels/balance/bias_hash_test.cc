#include "kernels/balance/bias_hash.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::balance {
namespace {

// Expected values from another implementation, python-xxhash 3's xxh3_64 over struct.pack("<f", ...) and ("<Q", ...).

TEST(BiasHashTest, IsXxh3OfLittleEndianFloats) {
  EXPECT_EQ(HashBias({}), 0x2d06800538d394c2);
  EXPECT_EQ(HashBias({1.0f}), 0xf87b05471331b3ae);
  EXPECT_EQ(HashBias({0.5f, -0.25f, 0.0f, 1e-3f}), 0x557c2d56e480cf55);
  std::vector<float> bias(256);
  for (int i = 0; i < 256; ++i) bias[i] = static_cast<float>(i) / 64;
  EXPECT_EQ(HashBias(bias), 0xe9d0f837046cfe9b);
}

TEST(BiasHashTest, IsOfBitsNotOfValues) {
  EXPECT_EQ(HashBias({0.0f}), 0x48b2c92616fc193d);
  EXPECT_EQ(HashBias({-0.0f}), 0x68468d2872951523);
}

TEST(BiasHashTest, CombinesInLayerOrder) {
  EXPECT_EQ(CombineHashes({}), 0x2d06800538d394c2);
  EXPECT_EQ(CombineHashes({1, 0x0123456789abcdef}), 0x5b9fc245bb8b55ab);
  EXPECT_EQ(CombineHashes({0x0123456789abcdef, 1}), 0x7f0249b3e464163a);
}

}  // namespace
}  // namespace evenkeel::balance
