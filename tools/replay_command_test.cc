#include "tools/replay_command.h"

#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/npy/npy.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class ReplayCommandTest : public FolderTest {
 protected:
  template <typename T>
  void Save(NpyType type, std::vector<int64_t> shape, const std::vector<T>& data) const {
    ASSERT_TRUE(WriteNpy({{Path("c.npy"), type, std::move(shape), data.data()}}).ok());
  }
  void SaveCounts(std::vector<int64_t> shape, const std::vector<int64_t>& counts) const {
    Save(NpyType::kInt64, std::move(shape), counts);
  }

  Outcome Replay(absl::string_view config, const std::vector<std::string>& more = {}) const {
    WriteFile("balance.json", config);
    std::vector<std::string> args = {"--config", Path("balance.json"), "--counts", Path("c.npy"),
                                     "--out",    Path("b.npy")};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand(kReplayCommand, args);
  }

  // The bias that Replay() wrote.
  std::vector<float> Bias(const std::vector<int64_t>& shape) const {
    const absl::StatusOr<NpyArray> array = ReadNpy(Path("b.npy"));
    EXPECT_TRUE(array.ok()) << array.status();
    if (!array.ok()) return {};
    EXPECT_EQ(array->type(), NpyType::kFloat32);
    EXPECT_EQ(array->shape(), shape);
    const absl::Span<const float> values = array->values<float>();
    return {values.begin(), values.end()};
  }

  void ExpectFailed(const Outcome& outcome, absl::string_view message) const {
    EXPECT_EQ(outcome.code, kExitFailed) << message;
    EXPECT_THAT(outcome.err, StartsWith("evenkeel replay: "));
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(Names(), ElementsAre("balance.json", "c.npy")) << message;
  }
};

// The rule of arXiv 2408.15664 in its own words: b_i += u * sign(mean - c_i).
TEST_F(ReplayCommandTest, FollowsTheSignRuleLayerByLayer) {
  constexpr int kSteps = 20;
  constexpr int kLayers = 3;
  constexpr int kExperts = 5;
  std::mt19937 random(7);
  std::vector<int64_t> counts(kSteps * kLayers * kExperts);
  for (int64_t& count : counts) count = random() % 10;
  SaveCounts({kSteps, kLayers, kExperts}, counts);

  std::vector<float> wanted(counts.size());
  for (int layer = 0; layer < kLayers; ++layer) {
    std::vector<float> bias(kExperts);
    for (int step = 0; step < kSteps; ++step) {
      const int64_t* const c = &counts[(step * kLayers + layer) * kExperts];
      const int64_t sum = std::accumulate(c, c + kExperts, int64_t{0});
      for (int e = 0; e < kExperts; ++e) {
        const int sign = (kExperts * c[e] < sum) - (kExperts * c[e] > sum);
        bias[e] += 1e-3f * static_cast<float>(sign);
        wanted[(step * kLayers + layer) * kExperts + e] = bias[e];
      }
    }
  }

  const Outcome outcome = Replay(R"({"preset": "loss_free"})");
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(Bias({kSteps, kLayers, kExperts}), wanted);
  EXPECT_THAT(outcome.out, HasSubstr("20 steps of 3 layers with 5 experts: 60 updates moved a bias\n"));
}

TEST_F(ReplayCommandTest, WarmUpAndSchedulesGoByTheStepFromOne) {
  SaveCounts({4, 1, 2}, {3, 1, 3, 1, 3, 1, 3, 1});
  ASSERT_EQ(Replay(R"({"preset": "loss_free", "rate": 1, "warmup_steps": 1,
                       "schedule": {"kind": "TO_ZERO", "begin": 4}})")
                .code,
            kExitOk);
  EXPECT_THAT(Bias({4, 1, 2}), ElementsAre(0, 0, -1, 1, -2, 2, -2, 2));
}

TEST_F(ReplayCommandTest, TopKTellsTokensFromCounts) {
  // Eight assignments a step: eight tokens if each chose one expert, four if each chose two.
  SaveCounts({2, 1, 2}, {6, 2, 6, 2});
  ASSERT_EQ(Replay(R"({"preset": "loss_free", "rate": 1, "min_tokens": 8})").code, kExitOk);
  EXPECT_THAT(Bias({2, 1, 2}), ElementsAre(-1, 1, -2, 2));
  ASSERT_EQ(Replay(R"({"preset": "loss_free", "rate": 1, "min_tokens": 8})", {"--top-k", "2"}).code, kExitOk);
  EXPECT_THAT(Bias({2, 1, 2}), ElementsAre(0, 0, -1, 1));
}

TEST_F(ReplayCommandTest, TokensAreRoundedUp) {
  SaveCounts({1, 1, 2}, {2, 1});
  ASSERT_EQ(Replay(R"({"preset": "loss_free", "rate": 1, "min_tokens": 2})", {"--top-k=2"}).code, kExitOk);
  EXPECT_THAT(Bias({1, 1, 2}), ElementsAre(-1, 1));
}

TEST_F(ReplayCommandTest, ALayerWithoutTokensStays) {
  SaveCounts({1, 2, 2}, {0, 0, 3, 1});
  const Outcome outcome = Replay(R"({"preset": "loss_free", "rate": 1})");
  ASSERT_EQ(outcome.code, kExitOk);
  EXPECT_THAT(Bias({1, 2, 2}), ElementsAre(0, 0, -1, 1));
  EXPECT_THAT(outcome.out, HasSubstr(": 1 updates moved"));
}

TEST_F(ReplayCommandTest, NoStepsAndNoLayersAreNoErrors) {
  SaveCounts({0, 2, 4}, {});
  ASSERT_EQ(Replay("{}").code, kExitOk);
  EXPECT_THAT(Bias({0, 2, 4}), IsEmpty());
  SaveCounts({3, 0, 4}, {});
  ASSERT_EQ(Replay("{}").code, kExitOk);
  EXPECT_THAT(Bias({3, 0, 4}), IsEmpty());
}

TEST_F(ReplayCommandTest, TheSameRecordGivesTheSameBytes) {
  std::mt19937 random(11);
  std::vector<int64_t> counts(30 * 2 * 16);
  for (int64_t& count : counts) count = random() % 1000;
  SaveCounts({30, 2, 16}, counts);
  ASSERT_EQ(Replay("{}").code, kExitOk);
  const std::string first = ReadFile("b.npy");
  ASSERT_EQ(Replay(R"({"preset": "evenkeel"})").code, kExitOk);
  EXPECT_EQ(ReadFile("b.npy"), first);
  EXPECT_THAT(Bias({30, 2, 16}), testing::Not(Each(0)));
}

TEST_F(ReplayCommandTest, BadCountsAreRefusedByNameAndLeaveNothing) {
  SaveCounts({2, 2, 2}, {1, 1, 1, 1, 1, -7, 1, 1});
  ExpectFailed(Replay("{}"), "c.npy: counts[1, 0, 1]: -7 is not between 0 and 2^48");
  SaveCounts({1, 1, 2}, {1, (int64_t{1} << 48) + 1});
  ExpectFailed(Replay("{}"), "c.npy: counts[0, 0, 1]: 281474976710657 is not between 0 and 2^48");
  SaveCounts({1, 2, 2}, {1, 1, 1, int64_t{1} << 48});
  ExpectFailed(Replay("{}"), "c.npy: counts[0, 1, :]: 281474976710657");
  SaveCounts({3, 1, 2}, {1, int64_t{1} << 47, 1, int64_t{1} << 46, 1, int64_t{1} << 47});
  ExpectFailed(Replay(R"({"min_tokens": "18446744073709551615"})"), "c.npy: counts[2, 0, :]: 140737488355329, with ");
  SaveCounts({2, 2}, {1, 1, 1, 1});
  ExpectFailed(Replay("{}"), "c.npy: shape (2, 2) is not [steps, layers, experts]");
  SaveCounts({2, 2, 0}, {});
  ExpectFailed(Replay("{}"), "c.npy: shape[2]: 0 experts are not between 1 and 16384");
  Save(NpyType::kInt32, {1, 1, 2}, std::vector<int32_t>{1, 1});
  ExpectFailed(Replay("{}"), "c.npy: dtype int32 is not int64");
  Save(NpyType::kFloat64, {1, 1, 2}, std::vector<double>{1, 1});
  ExpectFailed(Replay("{}"), "c.npy: dtype float64 is not int64");
  WriteFile("c.npy", ReadFile("c.npy").substr(0, 130));
  ExpectFailed(Replay("{}"), "c.npy: data: 2 bytes are fewer than the 16 of float64 (1, 1, 2)");
}

TEST_F(ReplayCommandTest, BadConfigsAreRefusedByNameAndLeaveNothing) {
  SaveCounts({1, 1, 2}, {3, 1});
  const struct {
    absl::string_view config;
    absl::string_view message;
  } kCases[] = {
      {R"({"rates": 1})", "balance.json:1:2: \"rates\" is no field"},
      {R"({"rate": NaN})", "balance.json:1:10: rate: \"NaN\" is not a finite number"},
      {R"({"rate": -1})", "balance.json: rate: "},
      {R"({"preset": "loss_fee"})", "balance.json: preset: must be one of loss_free, "},
      {R"({"target": [0.5, 0.25, 0.25]})", "balance.json: target: must be num_experts = 2 entries, got 3"},
      {R"({"schedule": {"kind": "STEPS"}})", "balance.json: schedule.points: "},
  };
  for (const auto& c : kCases) ExpectFailed(Replay(c.config), c.message);
  ExpectFailed(Replay("{}", {"--top-k", "3"}), "--top-k: 3 is more than the 2 experts of ");
}

TEST_F(ReplayCommandTest, WrongCommandLinesExitWith2) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{},
                                               {"--config", "c"},
                                               {"--config", "c", "--counts", "n", "--out", "b", "--top-k", "0"}}) {
    const Outcome outcome = RunCommand(kReplayCommand, args);
    EXPECT_EQ(outcome.code, kExitUsage);
    EXPECT_THAT(outcome.err, HasSubstr("Try 'evenkeel replay --help'."));
  }
}

}  // namespace
}  // namespace evenkeel::tools
