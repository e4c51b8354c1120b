#include "server/security/identities.h"

#include "absl/strings/str_cat.h"
#include "config/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::security {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::shared_ptr<const Identities>> Parse(const std::string& yaml) {
  v1::Identities file;
  const absl::Status status = config::ParseText(yaml, "identities.yaml", &file);
  if (!status.ok()) return status;
  return Identities::Of(file);
}

std::string Line(const std::string& fields) { return absl::StrCat("  - {", fields, "}\n"); }

TEST(IdentitiesTest, FindsByTokenAndByName) {
  const std::string token = NewToken();
  const std::string next = NewToken();
  const auto identities =
      Parse(absl::StrCat("identities:\n",
                         Line(absl::StrCat("name: trainer, role: WORKER, jobs: [run], token_sha256: [",
                                           HexOf(HashOf(token)), ", ", HexOf(HashOf(next)), "]")),
                         Line("name: admin, role: OPERATOR, san: [admin.example, 'spiffe://example/admin']")));
  ASSERT_TRUE(identities.ok()) << identities.status();
  EXPECT_EQ((*identities)->all().size(), 2);
  ASSERT_NE((*identities)->WithToken(token), nullptr);
  EXPECT_EQ((*identities)->WithToken(token)->name(), "trainer");
  EXPECT_EQ((*identities)->WithToken(next)->name(), "trainer");
  EXPECT_EQ((*identities)->WithToken(NewToken()), nullptr);
  EXPECT_EQ((*identities)->WithToken(""), nullptr);
  EXPECT_EQ((*identities)->WithToken(HexOf(HashOf(token))), nullptr) << "the file's hash is no token";
  ASSERT_NE((*identities)->WithSan({"other.example", "spiffe://example/admin"}), nullptr);
  EXPECT_EQ((*identities)->WithSan({"spiffe://example/admin"})->name(), "admin");
  EXPECT_EQ((*identities)->WithSan({"spiffe://example/admin2"}), nullptr);
  EXPECT_EQ((*identities)->WithSan({}), nullptr);
}

TEST(IdentitiesTest, WhatIsWrongIsNamed) {
  const std::string hash = HexOf(HashOf("token"));
  const auto error = [](const std::string& lines) {
    return std::string(Parse(absl::StrCat("identities:\n", lines)).status().message());
  };
  EXPECT_THAT(error(Line("role: OPERATOR, san: [a]")), HasSubstr("no name"));
  EXPECT_THAT(error(Line("name: a, role: OPERATOR")), HasSubstr("\"a\": has neither token_sha256 nor san"));
  EXPECT_THAT(error(Line("name: a, san: [x]")), HasSubstr("role is not set"));
  EXPECT_THAT(error(Line("name: a, san: [x], role: WORKER")), HasSubstr("has no jobs"));
  EXPECT_THAT(error(Line("name: a, san: [x], role: READER")), HasSubstr("has no jobs"));
  EXPECT_THAT(error(Line("name: a, san: [''], role: OPERATOR")), HasSubstr("a san is empty"));
  EXPECT_THAT(error(Line("name: a, san: [x], role: READER, jobs: ['']")), HasSubstr("a job is empty"));
  EXPECT_THAT(error(Line("name: a, token_sha256: [abc], role: OPERATOR")), HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(error(Line("name: a, san: [x], role: OPERATOR") + Line("name: a, san: [y], role: OPERATOR")),
              HasSubstr("the name is there twice"));
  EXPECT_THAT(error(Line("name: a, san: [x], role: OPERATOR") + Line("name: b, san: [x], role: OPERATOR")),
              HasSubstr("\"b\": san \"x\" is there twice"));
  const std::string token = absl::StrCat(", role: OPERATOR, token_sha256: [", hash, "]");
  EXPECT_THAT(error(Line("name: a" + token) + Line("name: b" + token)), HasSubstr("is there twice"));
  EXPECT_THAT(error(Line("name: a, san: [x], role: OPERATOR, quota: {max_jobs: 0}")),
              HasSubstr("quota.max_jobs is 0; 1 to 2^60"));
  EXPECT_THAT(error(Line("name: a, san: [x], role: OPERATOR, quota: {bytes_per_second: 2000000000000000000}")),
              HasSubstr("quota.bytes_per_second"));
  EXPECT_THAT(error(Line("name: a, san: [x], role: ROOT")), HasSubstr("identities.yaml:2"));
  EXPECT_THAT(error(Line("name: a, tokens: [x]")), HasSubstr("tokens"));
}

}  // namespace
}  // namespace evenkeel::security
