#include "server/core/attendance.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StrEq;

using Action = WaitingVerdict::Action;
using Policy = v1::JobSpec::MissingPolicy;
using State = v1::ContributorState;

constexpr absl::Time kStart = absl::UnixEpoch();

absl::Time At(int seconds) { return kStart + absl::Seconds(seconds); }

// Lost after 10 s, a straggler after 5, overdue after 20.
WaitingRules Rules(Policy::Kind policy, int min_contributors = 1) {
  v1::Membership membership;
  membership.set_heartbeat_timeout_ms(10'000);
  membership.set_straggler_deadline_ms(5'000);
  membership.set_step_deadline_ms(20'000);
  membership.set_min_contributors(min_contributors);
  return WaitingRules::Of(policy, membership);
}

// Of step 7, first pushed at the start.
OpenStep Open() { return {7, kStart, absl::InfinitePast()}; }

Attendance Joined(absl::Time heard = kStart) {
  Attendance contributor;
  contributor.held = contributor.joined = true;
  contributor.heard = heard;
  return contributor;
}

StateKind StateAt(int seconds, const Attendance& contributor, OpenStep open = Open()) {
  return StateOf(contributor, Rules(Policy::WAIT), open, At(seconds));
}

TEST(StateOfTest, WhoIsHeardOfIsAwaitedAndWhoIsNotIsLost) {
  EXPECT_EQ(StateAt(9, Joined()), State::AWAITED);
  EXPECT_EQ(StateAt(10, Joined()), State::LOST);
  EXPECT_EQ(StateAt(10, Joined(At(1))), State::AWAITED);
}

TEST(StateOfTest, AHeartbeatIsNoProgress) {
  EXPECT_EQ(StateAt(19, Joined(At(19))), State::AWAITED);
  EXPECT_EQ(StateAt(20, Joined(At(20))), State::LATE);
}

TEST(StateOfTest, WhoMissedADeadlineIsLateUntilItPushes) {
  Attendance contributor = Joined();
  contributor.late = true;
  EXPECT_EQ(StateAt(1, contributor), State::LATE);
  contributor.pushed = true;
  EXPECT_EQ(StateAt(1, contributor), State::PUSHED);
}

TEST(StateOfTest, NobodyWhoHasPushedIsLost) {
  Attendance contributor = Joined();
  contributor.pushed = true;
  EXPECT_EQ(StateAt(1000, contributor), State::PUSHED);
}

TEST(StateOfTest, ASlotThatNobodyHoldsIsFreeOrWasLeft) {
  Attendance nobody;
  EXPECT_EQ(StateAt(0, nobody), State::FREE);
  nobody.left = true;
  EXPECT_EQ(StateAt(0, nobody), State::LEFT);
}

TEST(StateOfTest, AGraceKeepsEverybody) {
  OpenStep open = Open();
  open.grace_until = At(60);
  Attendance away;
  away.held = true;
  EXPECT_EQ(StateAt(59, away, open), State::AWAY);
  EXPECT_EQ(StateAt(60, away, open), State::LOST);
  EXPECT_EQ(StateAt(59, Joined(), open), State::AWAITED);
  EXPECT_EQ(StateAt(60, Joined(), open), State::LOST);
  EXPECT_EQ(StateAt(60, Joined(At(60)), open), State::LATE);
}

TEST(StateOfTest, WhoComesBetweenStepsIsWaitedForFromTheNextOneOn) {
  Attendance contributor = Joined();
  contributor.first_step = 8;
  EXPECT_EQ(StateAt(0, contributor), State::COMING);
  OpenStep next = Open();
  next.step = 8;
  EXPECT_EQ(StateAt(0, contributor, next), State::AWAITED);
}

TEST(StateOfTest, WithoutDeadlinesNobodyIsLostOrLate) {
  const WaitingRules rules = WaitingRules::Of(Policy::WAIT, [] {
    v1::Membership membership;
    membership.set_heartbeat_timeout_ms(0);
    return membership;
  }());
  EXPECT_EQ(StateOf(Joined(), rules, Open(), At(1'000'000)), State::AWAITED);
}

WaitingVerdict JudgeAt(int seconds, const std::vector<StateKind>& states, const WaitingRules& rules) {
  return Judge(states, rules, Open(), At(seconds));
}

TEST(JudgeTest, EveryPolicyCommitsWhenAllHavePushed) {
  for (const auto policy : {Policy::WAIT, Policy::FAIL, Policy::COMMIT_WITHOUT}) {
    const WaitingVerdict verdict = JudgeAt(0, {State::PUSHED, State::PUSHED}, Rules(policy));
    EXPECT_EQ(verdict.action, Action::kCommit);
    EXPECT_THAT(verdict.reason, StrEq("all have pushed"));
    EXPECT_THAT(verdict.missing, IsEmpty());
  }
}

TEST(JudgeTest, NoPolicyCommitsWhenNobodyHasPushed) {
  for (const auto policy : {Policy::WAIT, Policy::FAIL, Policy::COMMIT_WITHOUT}) {
    const OpenStep unpushed = {7, absl::InfiniteFuture(), absl::InfinitePast()};
    EXPECT_EQ(Judge({State::LEFT, State::LEFT}, Rules(policy), unpushed, At(1000)).action, Action::kWait);
  }
}

TEST(JudgeTest, WaitWaits) {
  for (const StateKind missing : {State::LOST, State::LATE, State::LEFT, State::FREE, State::AWAY}) {
    EXPECT_EQ(JudgeAt(1000, {State::PUSHED, missing}, Rules(Policy::WAIT)).action, Action::kWait);
  }
}

TEST(JudgeTest, FailFailsForWhoIsLostAndForALateStep) {
  WaitingVerdict verdict = JudgeAt(1, {State::PUSHED, State::AWAITED, State::LOST}, Rules(Policy::FAIL));
  EXPECT_EQ(verdict.action, Action::kFail);
  EXPECT_THAT(verdict.reason, StrEq("lost"));
  EXPECT_THAT(verdict.missing, ElementsAre(2));

  const std::vector<StateKind> slow = {State::PUSHED, State::LATE, State::LEFT};
  EXPECT_EQ(JudgeAt(19, slow, Rules(Policy::FAIL)).action, Action::kWait);
  verdict = JudgeAt(20, slow, Rules(Policy::FAIL));
  EXPECT_EQ(verdict.action, Action::kFail);
  EXPECT_THAT(verdict.reason, StrEq("beyond the deadline"));
  EXPECT_THAT(verdict.missing, ElementsAre(1, 2));
}

TEST(JudgeTest, CommitWithoutGoesOnWhenNobodyElseIsExpected) {
  const WaitingRules rules = Rules(Policy::COMMIT_WITHOUT);
  const WaitingVerdict verdict =
      JudgeAt(1, {State::LOST, State::PUSHED, State::LATE, State::LEFT, State::COMING, State::FAILED}, rules);
  EXPECT_EQ(verdict.action, Action::kCommit);
  EXPECT_THAT(verdict.reason, StrEq("nobody else is expected"));
  EXPECT_THAT(verdict.missing, ElementsAre(0, 2, 3, 5));
  for (const StateKind expected : {State::AWAITED, State::AWAY, State::FREE}) {
    EXPECT_EQ(JudgeAt(19, {State::PUSHED, expected}, rules).action, Action::kWait);
    const WaitingVerdict overdue = JudgeAt(20, {State::PUSHED, expected}, rules);
    EXPECT_EQ(overdue.action, Action::kCommit);
    EXPECT_THAT(overdue.missing, ElementsAre(1));
  }
}

TEST(JudgeTest, CommitWithoutWantsEnough) {
  const WaitingRules rules = Rules(Policy::COMMIT_WITHOUT, /*min_contributors=*/2);
  EXPECT_THAT(JudgeAt(1000, {State::PUSHED, State::LOST, State::LOST}, rules).reason, StrEq("too few have pushed"));
  EXPECT_EQ(JudgeAt(1, {State::PUSHED, State::COMING, State::COMING}, rules).action, Action::kWait);
  EXPECT_EQ(JudgeAt(1, {State::PUSHED, State::LOST, State::PUSHED}, rules).action, Action::kCommit);
}

std::vector<int> StragglersAt(int seconds, const std::vector<StateKind>& states, Policy::Kind policy = Policy::WAIT) {
  return Stragglers(states, Rules(policy), Open(), At(seconds));
}

TEST(StragglersTest, TheyAreNamedFromTheirDeadlineOn) {
  const std::vector<StateKind> states = {State::PUSHED, State::AWAITED, State::PUSHED};
  EXPECT_THAT(StragglersAt(4, states), IsEmpty());
  EXPECT_THAT(StragglersAt(5, states), ElementsAre(1));
}

TEST(StragglersTest, AtMostThreeAndOnlyOutliers) {
  std::vector<StateKind> states(5, State::PUSHED);
  states.resize(9, State::AWAITED);
  EXPECT_THAT(StragglersAt(5, states), ElementsAre(5, 6, 7));
  states.push_back(State::AWAITED);
  EXPECT_THAT(StragglersAt(5, states), IsEmpty()) << "half of them are no outliers";
  EXPECT_THAT(StragglersAt(5, {State::PUSHED, State::LOST}), ElementsAre(1)) << "but one of two is";
  EXPECT_THAT(StragglersAt(5, {State::AWAITED, State::LOST}), IsEmpty());
}

TEST(StragglersTest, NobodyIsOneWhomTheStepDoesNotWaitFor) {
  const std::vector<StateKind> states = {State::PUSHED, State::PUSHED, State::PUSHED, State::LOST, State::AWAITED};
  EXPECT_THAT(StragglersAt(5, states), ElementsAre(3, 4));
  EXPECT_THAT(StragglersAt(5, states, Policy::COMMIT_WITHOUT), ElementsAre(4));
}

TEST(NamesOfTest, NamesThreeAndCountsTheOthers) {
  EXPECT_EQ(NamesOf(std::vector<int>{4}), "contributor 4");
  EXPECT_EQ(NamesOf(std::vector<int>{4, 5, 6}), "contributors 4, 5, 6");
  EXPECT_EQ(NamesOf(std::vector<int>{4, 5, 6, 7, 8}), "contributors 4, 5, 6 and 2 more");
}

}  // namespace
}  // namespace evenkeel::core
