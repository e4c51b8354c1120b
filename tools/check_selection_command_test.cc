#include "tools/check_selection_command.h"

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/half.h"
#include "kernels/routing/reference/reference_router.h"
#include "tools/npy/npy.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// One line of the JSON.
std::string Line(const std::string& fill, const std::string& bias, const std::string& offset, int64_t tokens,
                 int64_t slots) {
  return absl::StrCat("{\"dropped_group_fill\": \"", fill, "\", \"bias\": \"", bias, "\", \"offset\": ", offset,
                      ", \"tokens\": ", tokens, ", \"slots\": ", slots, "}");
}

class CheckSelectionCommandTest : public FolderTest {
 protected:
  void WriteFloats(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    ASSERT_TRUE(WriteNpy({{Path(name), NpyType::kFloat32, shape, values.data()}}).ok());
  }

  Outcome Check(const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"--spec", Path("spec.json"), "--logits", Path("x.npy"), "--bias", Path("b.npy")};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand(kCheckSelectionCommand, args);
  }
};

// Group 0 is kept for its expert 0, with 0.5 + 0.5; its expert 1 has 0.5 - 0.6, less than 0.
TEST_F(CheckSelectionCommandTest, Pitfall17AnExpertBelowZeroLosesToTheFill) {
  WriteFile("spec.json", R"({"num_experts": 4, "top_k": 2, "num_groups": 2, "top_groups": 1})");
  WriteFloats("x.npy", {2, 4}, {0, 0, 0, 0, 0, 5, 0, 0});  // the second token's expert 1 is above 0
  WriteFloats("b.npy", {4}, {0.5f, -0.6f, -0.3f, -0.3f});
  const Outcome outcome = Check({"--json", "--offset=positive"});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("\"tokens\": 2, \"slots\": 4, \"groups\": 2"), HasSubstr(Line("ZERO", "float32", "0", 1, 1)),
            HasSubstr(Line("NEG_INF", "bfloat16", "0", 0, 0)), HasSubstr(Line("ZERO", "bfloat16", "0", 1, 1))));
  const std::string offset = "0.6009765863418579";  // 1/1024 and the float32 of 0.6, which is above it
  EXPECT_THAT(outcome.out, AllOf(HasSubstr(absl::StrCat("\"positive_offset\": ", offset)),
                                 HasSubstr(Line("NEG_INF", "float32", offset, 0, 0)),
                                 HasSubstr(Line("ZERO", "float32", offset, 0, 0)),
                                 HasSubstr(Line("ZERO", "bfloat16", offset, 0, 0))));

  const Outcome table = Check();
  EXPECT_EQ(table.code, kExitOk);
  EXPECT_THAT(table.out, AllOf(HasSubstr("2 valid tokens, top 2 of 4 experts in 1 of 2 groups"),
                               HasSubstr("filled with 0     float32        -          1  50.000%         1  25.000%")));
}

TEST_F(CheckSelectionCommandTest, RoundingTakesAwayWhatToldExpertsApart) {
  WriteFile("spec.json", R"({"num_experts": 3, "top_k": 1})");
  WriteFloats("x.npy", {2, 3}, {0, 0, 0, 0, 0, 5});
  WriteFloats("b.npy", {3}, {1.0f, 1.001f, 0.9f});  // bfloat16 has 1 for both
  const Outcome outcome = Check({"--json"});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("\"groups\": 0"), HasSubstr(Line("ZERO", "float32", "0", 0, 0)),
                    HasSubstr(Line("NEG_INF", "bfloat16", "0", 1, 1)), HasSubstr(Line("ZERO", "bfloat16", "0", 1, 1))));
  EXPECT_THAT(Check().out, HasSubstr("no groups: nothing is filled"));
}

TEST_F(CheckSelectionCommandTest, OfASpecThatFillsWithZeroTheOtherIsCompared) {
  WriteFile("spec.json",
            R"({"num_experts": 4, "top_k": 2, "num_groups": 2, "top_groups": 1, "dropped_group_fill": "ZERO"})");
  WriteFloats("x.npy", {1, 4}, {0, 0, 0, 0});
  WriteFloats("b.npy", {4}, {0.5f, -0.6f, -0.3f, -0.3f});
  EXPECT_THAT(Check({"--json"}).out,
              AllOf(HasSubstr(Line("NEG_INF", "float32", "0", 1, 1)), HasSubstr(Line("ZERO", "bfloat16", "0", 0, 0))));
}

TEST_F(CheckSelectionCommandTest, OrderIsNoDifferenceAndMaskedTokensAreNotCounted) {
  WriteFile("spec.json", R"({"num_experts": 3, "top_k": 2})");
  WriteFloats("x.npy", {2, 3}, {0, 0, 0, 0, 0, 0});
  WriteFloats("b.npy", {3}, {1.0f, 1.001f, 0.5f});
  const std::vector<uint8_t> valid = {1, 0};
  ASSERT_TRUE(WriteNpy({{Path("m.npy"), NpyType::kBool, {2}, valid.data()}}).ok());
  EXPECT_THAT(Check({"--json", "--valid", Path("m.npy")}).out,
              AllOf(HasSubstr("\"tokens\": 1, \"slots\": 2"), HasSubstr(Line("NEG_INF", "bfloat16", "0", 0, 0))));
}

// Against the reference router and sets.
TEST_F(CheckSelectionCommandTest, CountsWhatThePlainRouterCounts) {
  constexpr int kTokens = 400, kExperts = 32, kTopK = 6;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> logits(kTokens * kExperts);
  for (float& value : logits) value = normal(random) - 2;
  std::vector<float> bias(kExperts);
  for (float& value : bias) value = normal(random) / 4;
  WriteFloats("x.npy", {kTokens, kExperts}, logits);
  WriteFloats("b.npy", {kExperts}, bias);
  WriteFile("spec.json", R"({"num_experts": 32, "top_k": 6, "num_groups": 4, "top_groups": 1})");

  routing::RouteSpec spec;
  spec.num_experts = kExperts;
  spec.top_k = kTopK;
  spec.num_groups = 4;
  spec.top_groups = 1;
  const auto sets = [&](routing::DroppedGroupFill fill, const std::vector<float>& bias) {
    spec.dropped_group_fill = fill;
    std::vector<int32_t> ids(kTokens * kTopK);
    routing::RouteInput input;
    input.logits = logits.data();
    input.rows = kTokens;
    input.logits_stride = kExperts;
    input.bias = bias.data();
    routing::RouteOutput output;
    output.ids = ids.data();
    output.ids_stride = kTopK;
    EXPECT_TRUE(routing::RouteReference(spec, input, output, nullptr).ok());
    std::vector<std::set<int32_t>> sets;
    for (int t = 0; t < kTokens; ++t) sets.emplace_back(ids.begin() + t * kTopK, ids.begin() + (t + 1) * kTopK);
    return sets;
  };
  std::vector<float> rounded = bias;
  for (float& value : rounded) value = routing::FloatFromBFloat16(routing::BFloat16FromFloat(value));
  const auto ours = sets(routing::DroppedGroupFill::kNegInf, bias);
  const auto line = [&](const std::string& fill, const std::string& type, const std::vector<float>& bias) {
    const auto theirs =
        sets(fill == "ZERO" ? routing::DroppedGroupFill::kZero : routing::DroppedGroupFill::kNegInf, bias);
    int64_t tokens = 0, slots = 0;
    for (int t = 0; t < kTokens; ++t) {
      int64_t missing = 0;
      for (const int32_t id : ours[t]) missing += 1 - static_cast<int64_t>(theirs[t].count(id));
      slots += missing;
      tokens += missing > 0;
    }
    EXPECT_GT(tokens, 0) << fill << " " << type;
    return Line(fill, type, "0", tokens, slots);
  };
  const std::string out = Check({"--json"}).out;
  EXPECT_THAT(out, HasSubstr(line("ZERO", "float32", bias)));
  EXPECT_THAT(out, HasSubstr(line("NEG_INF", "bfloat16", rounded)));
  EXPECT_THAT(out, HasSubstr(line("ZERO", "bfloat16", rounded)));
}

TEST_F(CheckSelectionCommandTest, WrongCommandLinesAndFilesAreRefused) {
  EXPECT_EQ(RunCommand(kCheckSelectionCommand, {"--spec=s", "--logits=x"}).code, kExitUsage);
  EXPECT_THAT(RunCommand(kCheckSelectionCommand, {"--logits=x", "--bias=b"}).err, HasSubstr("give one of --spec"));
  EXPECT_THAT(Check({"--offset=1"}).err, HasSubstr("--offset: \"1\" is none of none, positive"));
  WriteFile("spec.json", R"({"num_experts": 3, "top_k": 1})");
  WriteFloats("x.npy", {1, 3}, {0, 0, 0});
  WriteFloats("b.npy", {2}, {0, 0});
  const Outcome outcome = Check();
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_THAT(outcome.err, HasSubstr(Path("b.npy")));
}

}  // namespace
}  // namespace evenkeel::tools
