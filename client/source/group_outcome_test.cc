#include "client/source/group_outcome.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/job_state.h"
#include "job/test_messages.h"

namespace evenkeel::client {
namespace {

TEST(OutcomeFrameTest, HoldsTheLargestVersionOfAJob) {
  v1::JobSpec spec = job::TestSpec(4096);
  for (int i = 0; i < 61; ++i) *spec.add_layers() = job::TestLayer("c" + std::to_string(i), 256, 8);
  spec.mutable_layers(7)->set_streams(16);
  const job::JobPlan plan = job::TestPlan(spec);
  job::JobState state = job::InitialJobState(plan);
  state.version.set_epoch(~uint64_t{0});
  state.version.set_step(~uint64_t{0} - 1);
  for (int i = 0; i < 4096; ++i) state.participants.push_back(i);
  state.violations.resize(300);
  for (v1::Violation& violation : state.violations) {
    violation.set_kind(v1::Violation::SAME_TOKENS);
    for (int rank = 0; rank < 4096; ++rank) violation.add_ranks(rank);
    violation.set_message(std::string(1000, 'x'));
  }
  for (job::JobState::Layer& layer : state.layers) {
    std::fill(layer.balance.bias.begin(), layer.balance.bias.end(), 1.5f);
    layer.last_tokens = uint64_t{1} << 47;
  }
  v1::GroupOutcome outcome;
  outcome.set_kind(v1::GroupOutcome::Kind::VERSION);
  *outcome.mutable_version() = *job::CommittedVersionOf(plan, state);

  OutcomeFrame sent(spec);
  sent.Write(outcome);
  OutcomeFrame received(spec);
  ASSERT_EQ(received.bytes().size(), sent.bytes().size());
  std::copy(sent.bytes().begin(), sent.bytes().end(), received.bytes().begin());
  const absl::StatusOr<v1::GroupOutcome> read = received.Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->version().violations_size(), 256) << "their number, up to this one";
  outcome.mutable_version()->clear_violations();
  v1::GroupOutcome without = *read;
  without.mutable_version()->clear_violations();
  EXPECT_EQ(without.SerializeAsString(), outcome.SerializeAsString());
}

TEST(OutcomeFrameTest, LeavesOutTheEndOfALongMessage) {
  OutcomeFrame frame(job::TestSpec(1));
  frame.Write(Failed(absl::AbortedError(std::string(100'000, 'x'))));
  const absl::Status status = StatusOf(*frame.Read());
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(status.message(), std::string(1024, 'x'));
}

TEST(OutcomeFrameTest, AShorterOutcomeReplacesALongerOne) {
  OutcomeFrame frame(job::TestSpec(1));
  frame.Write(Failed(absl::AbortedError("a long one")));
  frame.Write(Pending(absl::UnavailableError("short")));
  EXPECT_EQ(frame.Read()->kind(), v1::GroupOutcome::Kind::PENDING);
  EXPECT_EQ(StatusOf(*frame.Read()).message(), "short");
}

TEST(OutcomeFrameTest, RefusesOtherBytes) {
  OutcomeFrame frame(job::TestSpec(1));
  std::fill(frame.bytes().begin(), frame.bytes().end(), '\xff');
  EXPECT_EQ(frame.Read().status().code(), absl::StatusCode::kDataLoss);
  std::fill(frame.bytes().begin() + 1, frame.bytes().begin() + 4, '\0');  // 255 bytes that are no message
  EXPECT_EQ(frame.Read().status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace evenkeel::client
