#include "server/core/invariants.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/test_messages.h"

namespace evenkeel::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Contributors stand for two ranks each, count both layers, and are right in every way.
class InvariantsTest : public ::testing::Test {
 protected:
  InvariantsTest() : plan_(job::TestPlan(job::TestSpec(3))), state_(job::InitialJobState(plan_)), sums_(plan_.layers) {
    for (int i = 0; i < 3; ++i) {
      evidence_.push_back({{2 * i, 2 * i + 1}, {0, 1}, {uint64_t{10} + i, uint64_t{20} + i}, {}, false});
    }
    sums_.tokens = {24, 24};
  }

  // "KIND layer ranks: message", of each violation.
  std::vector<std::string> Find(bool ok = true) {
    std::vector<std::string> found;
    for (const v1::Violation& violation : FindViolations(plan_, state_, ok, sums_, evidence_)) {
      std::string text = v1::Violation::Kind_Name(violation.kind());
      if (!violation.layer().empty()) absl::StrAppend(&text, " ", violation.layer());
      for (const int rank : violation.ranks()) absl::StrAppend(&text, " ", rank);
      found.push_back(absl::StrCat(text, ": ", violation.message()));
    }
    return found;
  }

  job::JobPlan plan_;
  job::JobState state_;
  job::StepSums sums_;
  std::vector<RankEvidence> evidence_;
};

TEST_F(InvariantsTest, AStepThatIsRightHasNone) {
  EXPECT_THAT(Find(), IsEmpty());
  EXPECT_THAT(Find(/*ok=*/false), IsEmpty());
}

TEST_F(InvariantsTest, WhoTellsNothingIsNotSuspected) {
  for (RankEvidence& own : evidence_) own.fingerprints.clear();
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(InvariantsTest, RanksThatCountNothingAreNotAlike) {
  for (RankEvidence& own : evidence_) own.fingerprints = {0, 0};
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(InvariantsTest, Pitfall07RanksThatCountTheSameTokensAreNamedTogether) {
  evidence_[0].fingerprints = {7, 8};
  evidence_[1].fingerprints = {9, 8};  // of another group
  evidence_[2].fingerprints = {7, 7};
  EXPECT_THAT(Find(), ElementsAre(HasSubstr("SAME_TOKENS 0 4 5: ranks 0, 4 and 5 counted the very same at every layer"),
                                  HasSubstr("SAME_TOKENS 1 3: ranks 1 and 3 counted the very same")));
}

TEST_F(InvariantsTest, RanksOfDifferentLayersAreNotAlike) {
  evidence_[0].fingerprints = evidence_[1].fingerprints = {7, 8};
  evidence_[1].owned = {1};
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(InvariantsTest, AFewOfManyRanksAreInTheSentence) {
  evidence_.resize(1);
  evidence_[0].ranks = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  evidence_[0].fingerprints.assign(11, 5);
  EXPECT_THAT(Find(), ElementsAre(HasSubstr("SAME_TOKENS 10 11 12 13 14 15 16 17 18 19 20: ranks 10, 11, 12, 13, 14, "
                                            "15, 16, 17 and 3 more counted")));
}

TEST_F(InvariantsTest, Pitfall38ARankWhoseBiasIsAnotherIsNamed) {
  evidence_[2].diverged = {4};
  EXPECT_THAT(Find(), ElementsAre(HasSubstr("BIAS_DIFFERS 4: rank 4 routed with another bias")));
  evidence_[0].diverged = {0, 1};
  EXPECT_THAT(Find(), ElementsAre(HasSubstr("BIAS_DIFFERS 0 1 4: ranks 0, 1 and 4 routed with another bias")));
}

TEST_F(InvariantsTest, MoreTokensThanAStepHas) {
  plan_.effective.set_tokens_per_step(24);
  EXPECT_THAT(Find(), IsEmpty());
  sums_.tokens[1] = 25;
  EXPECT_THAT(Find(), ElementsAre(HasSubstr("TOO_MANY_TOKENS b: layer \"b\" counted 25 tokens, and a step has 24")));
  plan_.effective.set_tokens_per_step(0);
  EXPECT_THAT(Find(), IsEmpty()) << "not told, and not checked";
}

TEST_F(InvariantsTest, Pitfall13ALayerThatNeverCountedIsToldOnceAtTheEndOfItsWarmUp) {
  sums_.tokens = {24, 0};
  plan_.balance[1].warmup_steps = 3;
  for (const auto& [position, told] : {std::pair(0, false), {1, false}, {2, true}, {3, false}, {100, false}}) {
    state_.position = position;
    EXPECT_EQ(Find().size(), told) << "position " << position;
  }
  state_.position = 2;
  EXPECT_THAT(Find(),
              ElementsAre(HasSubstr("SILENT_LAYER b: layer \"b\" has not counted a token in the first 3 steps")));
  EXPECT_THAT(Find(/*ok=*/false), IsEmpty()) << "the position stays; it is told later";
  state_.layers[1].total_tokens = 1;
  EXPECT_THAT(Find(), IsEmpty()) << "it has counted before";
}

TEST_F(InvariantsTest, WithoutAWarmUpTheFirstStepTells) {
  sums_.tokens = {0, 24};
  EXPECT_THAT(Find(),
              ElementsAre(HasSubstr("SILENT_LAYER a: layer \"a\" has not counted a token in the first 1 step;")));
  for (const auto mode : {v1::JobSpec::Mode::FROZEN, v1::JobSpec::Mode::OBSERVE}) {
    plan_.effective.set_mode(mode);
    EXPECT_THAT(Find(), ElementsAre(HasSubstr("SILENT_LAYER a"))) << mode;
  }
}

TEST_F(InvariantsTest, ALayerWhoseCountsWereLostIsNotSilent) {
  sums_.tokens = {0, 0};
  evidence_[1].owned = {0};
  evidence_[1].counts_lost = true;
  EXPECT_THAT(Find(), ElementsAre(HasSubstr("SILENT_LAYER b")));
}

TEST_F(InvariantsTest, ComeByKindLayerAndRank) {
  plan_.effective.set_tokens_per_step(1);
  sums_.tokens = {2, 2};
  evidence_[0].fingerprints = {8, 7};
  evidence_[1].fingerprints = {7, 8};
  evidence_[1].diverged = {3};
  EXPECT_THAT(Find(),
              ElementsAre(HasSubstr("BIAS_DIFFERS 3"), HasSubstr("SAME_TOKENS 0 3"), HasSubstr("SAME_TOKENS 1 2"),
                          HasSubstr("TOO_MANY_TOKENS a"), HasSubstr("TOO_MANY_TOKENS b")));
}

TEST(EvidenceTest, IsOfTheContributorsRanks) {
  v1::PushRequest push;
  for (const uint64_t fingerprint : {3, 4}) push.add_rank_fingerprints(fingerprint);
  push.add_diverged_ranks(9);
  const absl::StatusOr<RankEvidence> evidence = EvidenceOf(push, {5, 9}, {0, 2});
  ASSERT_TRUE(evidence.ok()) << evidence.status();
  EXPECT_THAT(evidence->ranks, ElementsAre(5, 9));
  EXPECT_THAT(evidence->fingerprints, ElementsAre(3, 4));
  EXPECT_THAT(evidence->diverged, ElementsAre(9));
  EXPECT_THAT(evidence->owned, ElementsAre(0, 2));

  EXPECT_THAT(EvidenceOf(push, {5, 9, 11}, {0}).status(),
              job::IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::SHAPE_MISMATCH,
                             "rank_fingerprints has 2 entries"));
  for (const int next : {9, 7, 5}) {
    v1::PushRequest wrong = push;
    wrong.add_diverged_ranks(next);
    EXPECT_THAT(EvidenceOf(wrong, {5, 9}, {0}).status(),
                job::IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                               absl::StrCat("diverged_ranks: ", next)));
  }
}

}  // namespace
}  // namespace evenkeel::core
