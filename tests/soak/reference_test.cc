#include "tests/soak/reference.h"

#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "job/reference_model.h"

namespace evenkeel::soak {
namespace {

constexpr int kWorkers = 5;
constexpr uint64_t kSteps = 3000;

// Who is missing of a step, and whose second process it is that pushes.
bool IsMissing(int contributor, uint64_t step) { return (7 * step + contributor) % 11 == 0; }
Process ProcessOf(int contributor, uint64_t step) {
  return {contributor, 1 + static_cast<uint64_t>(contributor) + 100 * (step / (40 + contributor))};
}

std::vector<Process> Participants(uint64_t step) {
  std::vector<Process> participants;
  for (int i = 0; i < kWorkers; ++i) {
    if (!IsMissing(i, step)) participants.push_back(ProcessOf(i, step));
  }
  return participants;
}

// The trajectory of job::ReferenceModel, which knows nothing of this one.
std::vector<job::JobState> Trajectory(const SoakMessages& messages, std::map<uint64_t, double> rates) {
  job::ReferenceModel::Options options;
  options.owned.assign(kWorkers, {0, 1});
  options.count = [&](int contributor, uint64_t step, int row) {
    const SoakMessages::Payload& payload = messages.PayloadOf(ProcessOf(contributor, step), step);
    const auto first = payload.counts.begin() + messages.plan().layers[row].offset;
    job::ReferenceModel::LayerCounts counts;
    counts.experts.assign(first, first + messages.plan().layers[row].num_experts);
    counts.tokens = payload.tokens[row];
    return counts;
  };
  options.ok = [&](int contributor, uint64_t step) { return messages.Ok(ProcessOf(contributor, step), step); };
  for (const auto& [step, rate] : rates) {
    job::JobPlan changed = messages.plan();
    for (balance::BalanceConfig& config : changed.balance) config.rate = rate;
    options.changes.emplace(step, changed);
  }
  job::ReferenceModel::Deliveries deliveries;
  for (uint64_t step = 1; step <= kSteps; ++step) {
    for (int i = 0; i < kWorkers; ++i) {
      if (IsMissing(i, step)) deliveries[{step, i}].missing = true;
    }
  }
  return job::ReferenceModel(&messages.plan(), options).Trajectory(kSteps, deliveries);
}

class ReferenceTest : public testing::Test {
 protected:
  void ExpectIs(const std::vector<job::JobState>& trajectory) const {
    v1::JobState expected = Balancing(job::ToProto(messages_.plan(), trajectory[reference_.step()]));
    *expected.mutable_version() = reference_.version();  // the model's have no epochs
    ASSERT_EQ(reference_.State().SerializeAsString(), expected.SerializeAsString()) << "step " << reference_.step();
  }

  const SoakMessages messages_{3, kWorkers, absl::Seconds(2)};
  Reference reference_{&messages_};
};

TEST_F(ReferenceTest, IsTheModelsTrajectory) {
  const std::map<uint64_t, double> rates = {{50, 0.125}, {120, 0.0625}, {121, 0.5}};
  const std::vector<job::JobState> trajectory = Trajectory(messages_, rates);
  for (const auto& [step, rate] : rates) reference_.SetRate(step, rate);
  uint64_t skipped = 0;
  for (uint64_t step = 1; step <= kSteps; ++step) {
    reference_.Commit(/*epoch=*/1 + step / 100, Participants(step));
    ASSERT_NO_FATAL_FAILURE(ExpectIs(trajectory));
    skipped += !trajectory[step].ok;
  }
  EXPECT_GT(skipped, 0);
}

TEST_F(ReferenceTest, AfterARewindTheStepsAreTheSame) {
  for (uint64_t step = 1; step <= 100; ++step) reference_.Commit(1, Participants(step));
  const std::string answer = reference_.answer();
  EXPECT_EQ(reference_.oldest(), 37);
  reference_.Rewind(40);
  EXPECT_EQ(reference_.step(), 40);
  EXPECT_NE(reference_.answer(), answer);
  for (uint64_t step = 41; step <= 100; ++step) reference_.Commit(1, Participants(step));
  EXPECT_EQ(reference_.answer(), answer);
}

}  // namespace
}  // namespace evenkeel::soak
