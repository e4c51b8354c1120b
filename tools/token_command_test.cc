#include "tools/token_command.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/security/token.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using ::testing::HasSubstr;

TEST(TokenCommandTest, TheHashIsTheTokens) {
  const Outcome outcome = RunCommand(kTokenCommand, {});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  const std::vector<std::string> words = absl::StrSplit(outcome.out, absl::ByAnyChar(" \n"));
  ASSERT_EQ(words.size(), 5) << outcome.out;
  EXPECT_EQ(words[0], "token:");
  EXPECT_EQ(words[2], "token_sha256:");
  EXPECT_EQ(words[3], security::HexOf(security::HashOf(words[1])));
  EXPECT_NE(RunCommand(kTokenCommand, {}).out, outcome.out);
}

TEST(TokenCommandTest, TakesNothing) {
  EXPECT_EQ(RunCommand(kTokenCommand, {"--length", "8"}).code, kExitUsage);
  EXPECT_THAT(std::string(kTokenCommand.help), HasSubstr("--token-file"));
}

}  // namespace
}  // namespace evenkeel::tools
