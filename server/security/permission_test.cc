#include "server/security/permission.h"

#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "gtest/gtest.h"

namespace evenkeel::security {
namespace {

using Role = v1::Identity::Role;

constexpr Method kMethods[] = {Method::kJoin,       Method::kPush,     Method::kWatch,       Method::kHeartbeat,
                               Method::kLeave,      Method::kGetState, Method::kPutState,    Method::kUpdateConfig,
                               Method::kRendezvous, Method::kListJobs, Method::kDescribeJob, Method::kGetHistory};

v1::Identity IdentityOf(Role::Kind role, const std::vector<std::string>& jobs) {
  v1::Identity identity;
  identity.set_name("someone");
  identity.set_role(role);
  for (const std::string& job : jobs) identity.add_jobs(job);
  return identity;
}

TEST(PermissionTest, ARoleMayCallWhatItIsFor) {
  const std::set<Method> workers = {Method::kJoin,  Method::kPush,       Method::kHeartbeat,
                                    Method::kLeave, Method::kRendezvous, Method::kGetState};
  const std::set<Method> readers = {Method::kListJobs, Method::kDescribeJob, Method::kGetHistory, Method::kGetState,
                                    Method::kWatch};
  for (const Method method : kMethods) {
    SCOPED_TRACE(NameOf(method));
    EXPECT_EQ(Decide(IdentityOf(Role::WORKER, {"*"}), method, "job").ok(), workers.count(method) == 1);
    EXPECT_EQ(Decide(IdentityOf(Role::READER, {"*"}), method, "job").ok(), readers.count(method) == 1);
    EXPECT_TRUE(Decide(IdentityOf(Role::OPERATOR, {}), method, "job").ok());
    EXPECT_FALSE(Decide(IdentityOf(Role::KIND_UNSPECIFIED, {"*"}), method, "job").ok());
  }
}

TEST(PermissionTest, NobodyTouchesTheJobsOfOthers) {
  for (const Method method : kMethods) {
    if (method == Method::kListJobs) continue;
    SCOPED_TRACE(NameOf(method));
    for (const Role::Kind role : {Role::WORKER, Role::READER, Role::OPERATOR}) {
      const absl::Status status = Decide(IdentityOf(role, {"team-a/*"}), method, "team-b/run");
      EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
      EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::NOT_ALLOWED);
    }
  }
  EXPECT_FALSE(Decide(IdentityOf(Role::WORKER, {}), Method::kPush, "job").ok()) << "no pattern, no job";
}

TEST(PermissionTest, PatternsAsExamples) {
  EXPECT_TRUE(Matches("run", "run"));
  EXPECT_FALSE(Matches("run", "run2"));
  EXPECT_FALSE(Matches("run", "prun"));
  EXPECT_TRUE(Matches("team-a/*", "team-a/x/y"));
  EXPECT_FALSE(Matches("team-a/*", "team-a"));
  EXPECT_TRUE(Matches("*/7b-*", "a/b/7b-1"));
  EXPECT_TRUE(Matches("a*a*", "aa"));
  EXPECT_FALSE(Matches("a*a*", "a"));
  EXPECT_TRUE(Matches("**", ""));
  EXPECT_FALSE(Matches("", "a"));
}

// Obviously right, and exponential.
bool MatchesPlainly(absl::string_view pattern, absl::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    return MatchesPlainly(pattern.substr(1), text) || (!text.empty() && MatchesPlainly(pattern, text.substr(1)));
  }
  return !text.empty() && pattern[0] == text[0] && MatchesPlainly(pattern.substr(1), text.substr(1));
}

TEST(PermissionTest, PatternsAsThePlainMatcherHasThem) {
  std::mt19937 random(20261121);
  const auto word = [&](absl::string_view letters) {
    std::string text;
    for (size_t length = random() % 9; length > 0; --length) text += letters[random() % letters.size()];
    return text;
  };
  int matches = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string pattern = word("ab*");
    const std::string text = word("ab");
    EXPECT_EQ(Matches(pattern, text), MatchesPlainly(pattern, text)) << pattern << " " << text;
    matches += Matches(pattern, text);
  }
  EXPECT_GT(matches, 1'000);
}

}  // namespace
}  // namespace evenkeel::security
