#include "server/security/token.h"

#include "gtest/gtest.h"

namespace evenkeel::security {
namespace {

TEST(TokenTest, HashesAreSha256) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(HexOf(HashOf("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(TokenTest, NoTwoTokensAreAlike) {
  const std::string a = NewToken();
  EXPECT_EQ(a.size(), 64);
  EXPECT_NE(a, NewToken());
  EXPECT_TRUE(SameHash(HashOf(a), HashOf(a)));
  EXPECT_FALSE(SameHash(HashOf(a), HashOf(NewToken())));
}

TEST(TokenTest, EveryBitOfAHashCounts) {
  const TokenHash hash = HashOf("token");
  for (size_t i = 0; i < hash.size() * 8; ++i) {
    TokenHash other = hash;
    other[i / 8] ^= 1 << i % 8;
    EXPECT_FALSE(SameHash(hash, other)) << "bit " << i;
  }
}

TEST(TokenTest, AHashIsReadAsItIsWritten) {
  const TokenHash hash = HashOf("token");
  ASSERT_TRUE(HashFromHex(HexOf(hash)).ok());
  EXPECT_EQ(*HashFromHex(HexOf(hash)), hash);
  for (const std::string& text : {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g')}) {
    EXPECT_EQ(HashFromHex(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace evenkeel::security
