#include "client/worker/host_workspace.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;

TEST(CopyCountsTest, WritesRowAfterRow) {
  std::vector<LayerCounts> counts = {LayerCounts(3, 2), LayerCounts(2, 1)};
  std::vector<LayerCounts> dispatched = {LayerCounts(0, 2), LayerCounts(2, 1)};
  const uint64_t a[] = {5, 3, 1};
  const uint64_t b[] = {1, 2};
  const uint64_t of_b[] = {1, 0};
  ASSERT_TRUE(counts[0].AddCounts(a, 5, 1).ok());
  ASSERT_TRUE(counts[1].AddCounts(b, 3, 0).ok());
  ASSERT_TRUE(dispatched[1].AddSums(of_b).ok());
  StepCounts step({5, 2, 2});
  CopyCounts(counts, dispatched, &step);
  EXPECT_THAT(step.counts(), ElementsAre(5, 3, 1, 1, 2));
  EXPECT_THAT(step.dispatched(), ElementsAre(1, 0));
  EXPECT_THAT(step.sums(), ElementsAre(5, 3, 1, 1, 2, /*a*/ 5, 1, 0, /*b*/ 3, 0, 0, /*dispatched*/ 1, 0,
                                       /*skips, replays*/ 0, 0, /*checks*/ 0, 0));

  // The next step, in the same place.
  for (std::vector<LayerCounts>* rows : {&counts, &dispatched}) {
    for (LayerCounts& row : *rows) row.Clear();
  }
  CopyCounts(counts, dispatched, &step);
  EXPECT_THAT(step.sums(), ::testing::Each(0));
}

// ---------------------------------------------------------------------------------------------------------------------
// Streams, and what a capacity limit left

constexpr int kExperts = 8;
constexpr int kTopK = 2;
constexpr int64_t kRows = 9;

// "gate" routes two streams and counts what was dispatched; "other" does neither, and comes first in protocol order.
std::vector<LayerOptions> TwoStreams() {
  LayerOptions gate = {"gate", kExperts, kTopK, "score: SIGMOID"};
  gate.streams = 2;
  gate.counts_dispatched = true;
  return {gate, {"a", 3, 1, ""}};
}

// The bias of "a" is 0, that of the streams such that they prefer other experts.
v1::CommittedVersion VersionOfTwoStreams() {
  v1::CommittedVersion version;
  for (int i = 0; i < 3; ++i) version.add_bias(0);
  for (int e = 0; e < kExperts; ++e) version.add_bias(e < 4 ? 2.0f : 0.0f);
  for (int e = 0; e < kExperts; ++e) version.add_bias(e < 4 ? 0.0f : 2.0f);
  return version;
}

std::vector<float> SomeLogits() {
  std::vector<float> logits;
  for (int i = 0; i < kRows * kExperts; ++i) logits.push_back(static_cast<float>(i * 37 % 101) / 50 - 1);
  return logits;
}

struct Routed {
  std::vector<int32_t> ids = std::vector<int32_t>(kRows * kTopK, 99);
  std::vector<float> weights = std::vector<float>(kRows * kTopK, 9.0f);
};

class StreamsTest : public ::testing::Test {
 protected:
  StreamsTest() {
    EXPECT_TRUE(workspace_.Adopt(VersionOfTwoStreams()).ok());
    EXPECT_TRUE(workspace_.BeginStep(1, nullptr).ok());
    for (int64_t t = 0; t < kRows; ++t) is_image_.push_back(t % 3 == 1);
    for (const uint8_t image : is_image_) is_text_.push_back(1 - image);
  }

  void Route(int stream, const std::vector<uint8_t>& mask, bool keep, Routed* routed) {
    Tokens tokens;
    tokens.rows = kRows;
    tokens.logits = logits_.data();
    tokens.valid_mask = mask.data();
    tokens.stream = stream;
    Assignments assignments;
    assignments.ids = routed->ids.data();
    assignments.weights = routed->weights.data();
    assignments.keep_masked = keep;
    const absl::Status status = workspace_.Route(0, tokens, assignments, /*counts=*/true);
    EXPECT_TRUE(status.ok()) << status;
  }

  std::vector<uint64_t> CountsOfStream(const StepCounts& step, int stream) {
    const auto counts = step.counts().subspan(3 + stream * kExperts, kExperts);
    return {counts.begin(), counts.end()};
  }

  const LayerTable layers_ = *LayerTable::Make(TwoStreams());
  HostWorkspace workspace_{&layers_};
  const std::vector<float> logits_ = SomeLogits();
  std::vector<uint8_t> is_image_;
  std::vector<uint8_t> is_text_;
};

// A batch in which text and image tokens are mixed is routed by two calls into the same arrays.
TEST_F(StreamsTest, Pitfall32AMixedBatchIsRoutedByTheBiasOfEachKind) {
  Routed text;
  Routed image;
  Route(0, is_text_, /*keep=*/false, &text);
  Route(1, is_image_, /*keep=*/false, &image);
  const StepCountsPtr apart = *workspace_.Commit(1, {true});
  ASSERT_TRUE(workspace_.BeginStep(2, nullptr).ok());
  Routed mixed;
  Route(0, is_text_, /*keep=*/true, &mixed);
  Route(1, is_image_, /*keep=*/true, &mixed);
  const StepCountsPtr together = *workspace_.Commit(2, {true});
  for (int64_t t = 0; t < kRows; ++t) {
    const Routed& alone = is_text_[t] != 0 ? text : image;
    for (int64_t at = t * kTopK; at < (t + 1) * kTopK; ++at) {
      EXPECT_EQ(mixed.ids[at], alone.ids[at]) << "row " << t;
      EXPECT_EQ(mixed.weights[at], alone.weights[at]) << "row " << t;
      // By the bias: sigmoids differ by less than 1, the biases by 2.
      EXPECT_EQ(mixed.ids[at] < 4, is_text_[t] != 0) << "row " << t;
    }
  }
  EXPECT_THAT(together->sums(), ::testing::ElementsAreArray(apart->sums()));
  EXPECT_EQ(together->totals()[1].tokens, 6u);
  EXPECT_EQ(together->totals()[2].tokens, 3u);
  const std::vector<uint64_t> of_text = CountsOfStream(*together, 0);
  const std::vector<uint64_t> of_image = CountsOfStream(*together, 1);
  EXPECT_THAT(std::vector<uint64_t>(of_text.begin() + 4, of_text.end()), ::testing::Each(0));
  EXPECT_THAT(std::vector<uint64_t>(of_image.begin(), of_image.begin() + 4), ::testing::Each(0));
}

// One backward pass is enough for both, for the bias has no part in it.
TEST_F(StreamsTest, OneBackwardPassIsOfBothKinds) {
  Routed routed;
  Route(0, is_text_, /*keep=*/true, &routed);
  Route(1, is_image_, /*keep=*/true, &routed);
  const auto backward = [&](const std::vector<int32_t>& ids) {
    const std::vector<float> d_weights(kRows * kTopK, 1.0f);
    std::vector<float> d_logits(kRows * kExperts, 99.0f);
    Tokens tokens;
    tokens.rows = kRows;
    tokens.logits = logits_.data();
    Gradients gradients;
    gradients.ids = ids.data();
    gradients.d_weights = d_weights.data();
    gradients.d_logits = d_logits.data();
    EXPECT_TRUE(workspace_.RouteBackward(0, tokens, gradients).ok());
    return d_logits;
  };
  const std::vector<float> of_both = backward(routed.ids);
  for (const std::vector<uint8_t>* mask : {&is_text_, &is_image_}) {
    std::vector<int32_t> ids = routed.ids;
    for (int64_t t = 0; t < kRows; ++t) {
      if ((*mask)[t] == 0) std::fill_n(ids.begin() + t * kTopK, kTopK, -1);
    }
    const std::vector<float> of_one = backward(ids);
    for (int64_t at = 0; at < kRows * kExperts; ++at) {
      if ((*mask)[at / kExperts] == 0) continue;
      EXPECT_EQ(of_both[at], of_one[at]);
    }
  }
}

TEST_F(StreamsTest, IdsOfTheOtherKindAreNotCounted) {
  const std::vector<int32_t> ids = {0, 1, 4, 5, 0, 2};
  const std::vector<uint8_t> text = {1, 0, 1};
  const std::vector<uint8_t> image = {0, 1, 0};
  for (const int stream : {0, 1}) {
    Ids given;
    given.rows = 3;
    given.ids = ids.data();
    given.valid_mask = stream == 0 ? text.data() : image.data();
    given.stream = stream;
    ASSERT_TRUE(workspace_.Count(0, given, /*counts=*/true).ok());
  }
  const std::vector<uint64_t> more = {0, 0, 0, 0, 1, 1, 0, 0};
  ASSERT_TRUE(workspace_.AddCounts(0, {more.data(), 1, 0, /*stream=*/1}, /*counts=*/true).ok());
  const StepCountsPtr step = *workspace_.Commit(1, {true});
  EXPECT_THAT(CountsOfStream(*step, 0), ElementsAre(2, 1, 1, 0, 0, 0, 0, 0));
  EXPECT_THAT(CountsOfStream(*step, 1), ElementsAre(0, 0, 0, 0, 2, 2, 0, 0));
  EXPECT_EQ(step->totals()[1].tokens, 2u);
  EXPECT_EQ(step->totals()[2].tokens, 2u);
}

TEST_F(StreamsTest, Pitfall10WhatIsDispatchedIsCountedBesideWhatIsRouted) {
  const std::vector<int32_t> routed = {0, 1, 0, 2, 4, 5};
  const std::vector<int32_t> dispatched = {0, 1, -1, 2, -1, -1};
  ASSERT_TRUE(workspace_.Count(0, {3, routed.data()}, /*counts=*/true).ok());
  ASSERT_TRUE(workspace_.CountDispatched(0, {3, dispatched.data()}, /*counts=*/true).ok());
  const std::vector<uint64_t> sums = {0, 0, 0, 3, 0, 0, 0, 1};
  Counts of_image = {sums.data()};
  of_image.stream = 1;
  ASSERT_TRUE(workspace_.AddDispatched(0, of_image, /*counts=*/true).ok());
  const StepCountsPtr step = *workspace_.Commit(1, {true});
  EXPECT_THAT(CountsOfStream(*step, 0), ElementsAre(2, 1, 1, 0, 1, 1, 0, 0));
  EXPECT_THAT(step->dispatched(), ElementsAre(1, 1, 1, 0, 0, 0, 0, 0, /*image*/ 0, 0, 0, 3, 0, 0, 0, 1));
  EXPECT_EQ(step->totals()[1].tokens, 3u);
  EXPECT_EQ(step->totals()[1].short_slots, 0u);
  EXPECT_EQ(step->totals()[2].tokens, 0u);

  // The next step begins from nothing; a row that is wrong is refused, and nothing of its call is counted.
  ASSERT_TRUE(workspace_.BeginStep(2, nullptr).ok());
  const std::vector<int32_t> twice = {0, 1, 3, 3};
  EXPECT_THAT(std::string(workspace_.CountDispatched(0, {2, twice.data()}, /*counts=*/true).message()),
              ::testing::HasSubstr("layer \"gate\": ids: row 1 holds 3 twice"));
  EXPECT_FALSE(workspace_.AddDispatched(0, {}, /*counts=*/true).ok());
  const StepCountsPtr second = *workspace_.Commit(2, {true});
  EXPECT_THAT(second->counts(), ::testing::Each(0));
  EXPECT_THAT(second->dispatched(), ::testing::Each(0));
}

}  // namespace
}  // namespace evenkeel::client
