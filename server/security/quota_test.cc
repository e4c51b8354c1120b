#include "server/security/quota.h"

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::security {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

const QuotaUse::Time kStart{std::chrono::hours(1)};

v1::Identity IdentityWith(const v1::Quota& quota) {
  v1::Identity identity;
  identity.set_name("trainer");
  *identity.mutable_quota() = quota;
  return identity;
}

v1::Quota Rates(int64_t requests, int64_t bytes) {
  v1::Quota quota;
  quota.set_requests_per_second(requests);
  quota.set_bytes_per_second(bytes);
  return quota;
}

TEST(QuotaTest, RequestsASecond) {
  QuotaUse use(IdentityWith(Rates(2, 1'000)));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(use.Call(0, kStart).ok());
  const absl::Status status = use.Call(0, kStart);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::QUOTA_EXCEEDED);
  EXPECT_EQ(DetailOf(status).retry_after_ms(), 500);
  EXPECT_EQ(status.message(), "the quota of \"trainer\": requests_per_second 2; there is room in 500 ms");
  EXPECT_TRUE(use.Call(0, kStart + milliseconds(500)).ok());
}

TEST(QuotaTest, BytesASecond) {
  QuotaUse use(IdentityWith(Rates(1'000, 100)));
  EXPECT_TRUE(use.Call(400, kStart).ok());
  const absl::Status status = use.Call(200, kStart);
  EXPECT_EQ(DetailOf(status).retry_after_ms(), 1'000);
  EXPECT_THAT(std::string(status.message()), HasSubstr("bytes_per_second 100"));
  EXPECT_TRUE(use.Call(200, kStart + seconds(1)).ok());
  const absl::Status never = use.Call(501, kStart + seconds(100));
  EXPECT_EQ(ReasonOf(never), v1::ErrorDetail::QUOTA_EXCEEDED);
  EXPECT_EQ(DetailOf(never).retry_after_ms(), 0);
}

TEST(QuotaTest, ACallThatTheRequestsRefuseTakesNoBytes) {
  QuotaUse use(IdentityWith(Rates(1, 100)));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(use.Call(0, kStart).ok());
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(use.Call(450, kStart).ok());
  EXPECT_TRUE(use.Call(500, kStart + seconds(1)).ok());
}

TEST(QuotaTest, WithoutAQuotaThereIsNoBound) {
  QuotaUse use(IdentityWith(v1::Quota()));
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_TRUE(use.Call(1 << 30, kStart).ok());
    EXPECT_TRUE(use.BeginJoin(absl::StrCat(i)).ok());
  }
}

TEST(QuotaTest, TheShapeOfAJob) {
  v1::Quota quota;
  quota.set_max_layers(2);
  quota.set_max_experts(40);
  quota.set_max_ranks(8);
  const QuotaUse use(IdentityWith(quota));
  v1::JobSpec job;
  job.set_contributors(8);
  job.add_layers()->set_num_experts(8);
  job.add_layers()->set_num_experts(16);
  job.mutable_layers(1)->set_streams(2);
  EXPECT_TRUE(use.CheckShape(job).ok());

  v1::JobSpec other = job;
  other.mutable_layers(0)->set_num_experts(9);
  EXPECT_THAT(std::string(use.CheckShape(other).message()), HasSubstr("41 experts; max_experts is 40"));
  other = job;
  other.add_layers();
  EXPECT_THAT(std::string(use.CheckShape(other).message()), HasSubstr("3 layers; max_layers is 2"));
  other = job;
  other.set_world_size(9);
  EXPECT_THAT(std::string(use.CheckShape(other).message()), HasSubstr("9 ranks; max_ranks is 8"));
  EXPECT_EQ(ReasonOf(use.CheckShape(other)), v1::ErrorDetail::QUOTA_EXCEEDED);
}

v1::Quota Jobs(int most) {
  v1::Quota quota;
  quota.set_max_jobs(most);
  return quota;
}

TEST(QuotaTest, JobsCountOnceAndOnlyWhenTheyAreJoined) {
  QuotaUse use(IdentityWith(Jobs(2)));
  for (int contributor = 0; contributor < 5; ++contributor) {
    ASSERT_TRUE(use.BeginJoin("a").ok());
    use.EndJoin("a", true);
  }
  ASSERT_TRUE(use.BeginJoin("refused").ok());
  EXPECT_EQ(ReasonOf(use.BeginJoin("b")), v1::ErrorDetail::QUOTA_EXCEEDED) << "joins in progress count";
  use.EndJoin("refused", false);
  ASSERT_TRUE(use.BeginJoin("b").ok());
  use.EndJoin("b", true);
  EXPECT_THAT(std::string(use.BeginJoin("c").message()), HasSubstr("it has 2 jobs; max_jobs is 2"));
  EXPECT_TRUE(use.BeginJoin("a").ok()) << "a worker that comes back";
  use.EndJoin("a", false);
  EXPECT_TRUE(use.IsFullFor("c"));
}

TEST(QuotaTest, JobsThatAreGoneMakeRoom) {
  QuotaUse use(IdentityWith(Jobs(2)));
  ASSERT_TRUE(use.BeginJoin("a").ok());
  use.EndJoin("a", true);
  ASSERT_TRUE(use.BeginJoin("b").ok());
  use.KeepOnly({});
  EXPECT_FALSE(use.IsFullFor("c"));
  ASSERT_TRUE(use.BeginJoin("c").ok());
  EXPECT_TRUE(use.IsFullFor("a")) << "the join of b is still in progress";
}

}  // namespace
}  // namespace evenkeel::security
