#include "server/security/gate.h"

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::security {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Role = v1::Identity::Role;

const Gate::Time kStart{std::chrono::hours(1)};

class GateTest : public ::testing::Test {
 protected:
  GateTest() {
    v1::Identity* trainer = file_.add_identities();
    trainer->set_name("trainer");
    trainer->add_token_sha256(HexOf(HashOf("trainer's token")));
    trainer->add_san("spiffe://example/trainer");
    trainer->set_role(Role::WORKER);
    trainer->add_jobs("run-*");
    v1::Identity* reader = file_.add_identities();
    reader->set_name("reader");
    reader->add_san("reader.example");
    reader->set_role(Role::READER);
    reader->add_jobs("run-1");
    Set();
  }

  void Set() {
    const auto identities = Identities::Of(file_);
    ASSERT_TRUE(identities.ok()) << identities.status();
    gate_.SetIdentities(*identities);
  }

  absl::StatusOr<Pass> Push(const Caller& caller, const std::string& job = "run-1", Gate::Time now = kStart) {
    return gate_.Admit(caller, Method::kPush, job, 100, now);
  }

  v1::Identities file_;
  std::vector<std::string> log_;
  Gate gate_{[this](const LogEvent& event) { log_.push_back(event.message); }};
};

Caller WithToken(const std::string& token, bool is_private = true) { return {token, {}, is_private}; }
Caller WithSan(const std::string& san) { return {"", {san}, true}; }

TEST_F(GateTest, WithoutIdentitiesEverybodyMayDoEverything) {
  Gate gate([](const LogEvent&) {});
  const auto pass = gate.Admit(Caller(), Method::kPutState, "any", 1 << 30, kStart);
  ASSERT_TRUE(pass.ok());
  EXPECT_TRUE(pass->MaySee("any"));
  v1::JobSpec job;
  EXPECT_TRUE(gate.BeginJoin(*pass, job).ok());
}

TEST_F(GateTest, ATokenOrACertificateSaysWhoCalls) {
  EXPECT_TRUE(Push(WithToken("trainer's token")).ok());
  EXPECT_TRUE(Push(WithSan("spiffe://example/trainer")).ok());
  for (const Caller& stranger : {Caller(), WithToken("another"), WithSan("spiffe://example/other")}) {
    const absl::Status status = Push(stranger).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
    EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::NOT_KNOWN);
  }
}

TEST_F(GateTest, AWrongTokenIsNotMadeGoodByACertificate) {
  EXPECT_EQ(ReasonOf(Push({"another", {"spiffe://example/trainer"}, true}).status()), v1::ErrorDetail::NOT_KNOWN);
}

TEST_F(GateTest, ATokenThatOthersCouldReadIsNoToken) {
  const absl::Status status = Push(WithToken("trainer's token", /*is_private=*/false)).status();
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::NOT_KNOWN);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not encrypted"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("trainer's token")));
}

TEST_F(GateTest, RolesAndJobsHold) {
  EXPECT_EQ(ReasonOf(Push(WithToken("trainer's token"), "other").status()), v1::ErrorDetail::NOT_ALLOWED);
  EXPECT_EQ(ReasonOf(Push(WithSan("reader.example")).status()), v1::ErrorDetail::NOT_ALLOWED);
  const auto reader = gate_.Admit(WithSan("reader.example"), Method::kListJobs, "", 0, kStart);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->MaySee("run-1"));
  EXPECT_FALSE(reader->MaySee("run-2"));
}

TEST_F(GateTest, NewIdentitiesHoldForTheNextCall) {
  file_.mutable_identities(0)->set_token_sha256(0, HexOf(HashOf("its next token")));
  Set();
  EXPECT_EQ(ReasonOf(Push(WithToken("trainer's token")).status()), v1::ErrorDetail::NOT_KNOWN);
  EXPECT_TRUE(Push(WithToken("its next token")).ok());
}

TEST_F(GateTest, AQuotaIsTheIdentitysHoweverItCalls) {
  file_.mutable_identities(0)->mutable_quota()->set_requests_per_second(1);
  Set();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(Push(i % 2 == 0 ? WithToken("trainer's token") : WithSan("spiffe://example/trainer")).ok());
  }
  EXPECT_EQ(ReasonOf(Push(WithSan("spiffe://example/trainer")).status()), v1::ErrorDetail::QUOTA_EXCEEDED);
  EXPECT_TRUE(gate_.Admit(WithSan("reader.example"), Method::kListJobs, "", 0, kStart).ok()) << "one's flood, all's";

  file_.mutable_identities(0)->add_jobs("more-*");
  Set();
  EXPECT_EQ(ReasonOf(Push(WithSan("spiffe://example/trainer")).status()), v1::ErrorDetail::QUOTA_EXCEEDED)
      << "a changed file gave the quota back";
  file_.mutable_identities(0)->mutable_quota()->set_requests_per_second(2);
  Set();
  EXPECT_TRUE(Push(WithSan("spiffe://example/trainer")).ok());
}

TEST_F(GateTest, WhatIsNotAllowedTakesNothingOfTheQuota) {
  file_.mutable_identities(0)->mutable_quota()->set_requests_per_second(1);
  Set();
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(Push(WithToken("trainer's token"), "other").ok());
  EXPECT_TRUE(Push(WithToken("trainer's token")).ok());
}

TEST_F(GateTest, TheJobsOfAnIdentity) {
  file_.mutable_identities(0)->mutable_quota()->set_max_jobs(1);
  Set();
  const auto pass = Push(WithToken("trainer's token"));
  ASSERT_TRUE(pass.ok());
  v1::JobSpec job;
  job.set_name("run-1");
  ASSERT_TRUE(gate_.BeginJoin(*pass, job).ok());
  gate_.EndJoin(*pass, "run-1", true);
  job.set_name("run-2");
  EXPECT_TRUE(gate_.IsFullFor(*pass, "run-2"));
  EXPECT_EQ(ReasonOf(gate_.BeginJoin(*pass, job)), v1::ErrorDetail::QUOTA_EXCEEDED);
  gate_.KeepOnly(*pass, {"run-0"});
  EXPECT_TRUE(gate_.BeginJoin(*pass, job).ok());
}

TEST_F(GateTest, RefusalsAreLoggedOnceASecond) {
  for (int i = 0; i < 1'000; ++i) EXPECT_FALSE(Push(WithToken("another"), "run-1", kStart + milliseconds(i / 2)).ok());
  EXPECT_THAT(log_, ElementsAre("refused Push: the token is not known here"));
  EXPECT_FALSE(Push(WithToken("another"), "run-1", kStart + seconds(2)).ok());
  ASSERT_EQ(log_.size(), 2);
  EXPECT_THAT(log_[1], HasSubstr("and 999 other calls since the last such line"));
}

}  // namespace
}  // namespace evenkeel::security
