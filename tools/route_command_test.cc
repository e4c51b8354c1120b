#include "tools/route_command.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "tools/npy/npy.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pointwise;
using testing::StartsWith;

constexpr absl::string_view kSpec = R"({"num_experts": 4, "top_k": 2, "score": "LOGIT", "weight": "SCORE"})";

class RouteCommandTest : public FolderTest {
 protected:
  RouteCommandTest() {
    WriteFile("spec.json", kSpec);
    Save("x.npy", NpyType::kFloat32, {3, 4},
         std::vector<float>{1, 4, 3, 2,  //
                            4, 3, 2, 1,  //
                            1, 1, 2, 2});
  }

  template <typename T>
  void Save(absl::string_view name, NpyType type, std::vector<int64_t> shape, const std::vector<T>& data) const {
    ASSERT_TRUE(WriteNpy({{Path(name), type, std::move(shape), data.data()}}).ok());
  }

  Outcome Route(const std::vector<std::string>& more = {}, absl::string_view logits = "x.npy") const {
    std::vector<std::string> args = {"--spec", Path("spec.json"), "--logits", Path(logits), "--out", Path("out")};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand(kRouteCommand, args);
  }

  template <typename T>
  std::vector<T> Load(absl::string_view name, NpyType type, const std::vector<int64_t>& shape) const {
    const absl::StatusOr<NpyArray> array = ReadNpy(Path(name));
    EXPECT_TRUE(array.ok()) << array.status();
    if (!array.ok()) return {};
    EXPECT_EQ(array->type(), type);
    EXPECT_EQ(array->shape(), shape);
    const absl::Span<const T> values = array->values<T>();
    return {values.begin(), values.end()};
  }
  std::vector<int32_t> Ids(int64_t rows = 3) const { return Load<int32_t>("out.ids.npy", NpyType::kInt32, {rows, 2}); }
  std::vector<float> Weights(int64_t rows = 3) const {
    return Load<float>("out.weights.npy", NpyType::kFloat32, {rows, 2});
  }
  std::vector<int64_t> Counts() const { return Load<int64_t>("out.counts.npy", NpyType::kInt64, {4}); }

  // What RouteCpu takes for kSpec here.
  static std::string CpuPath() {
    routing::RouteSpec spec;
    spec.num_experts = 4;
    spec.top_k = 2;
    spec.score = routing::Score::kLogit;
    return std::string(routing::CpuRoutePath(spec));
  }

  Outcome RouteModel(absl::string_view config, const std::vector<std::string>& more = {}) const {
    WriteFile("config.json", config);
    std::vector<std::string> args = {"--model", Path("config.json"), "--logits", Path("x.npy"), "--out", Path("out")};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand(kRouteCommand, args);
  }

  // The work fails with one line that has `message`, and leaves nothing.
  void ExpectFailed(const Outcome& outcome, absl::string_view message) const {
    EXPECT_EQ(outcome.code, kExitFailed) << message;
    EXPECT_THAT(outcome.err, StartsWith("evenkeel route: "));
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    for (const std::string& name : Names()) EXPECT_THAT(name, testing::Not(StartsWith("out"))) << message;
  }
};

TEST_F(RouteCommandTest, WritesIdsWeightsAndCounts) {
  const Outcome outcome = Route();
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(Ids(), ElementsAre(1, 2, 0, 1, 2, 3));
  EXPECT_THAT(Weights(), ElementsAre(4, 3, 4, 3, 2, 2));
  EXPECT_THAT(Counts(), ElementsAre(1, 2, 2, 1));
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, StartsWith("3 tokens (3 valid), top 2 of 4 experts: max violation 0.333, 0 dead experts"));
  EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("the path was ", CpuPath())));
  EXPECT_THAT(Names(), ElementsAre("out.counts.npy", "out.ids.npy", "out.weights.npy", "spec.json", "x.npy"));
}

TEST_F(RouteCommandTest, EveryDeviceOfThisBuildGivesTheSameAndSaysItsPath) {
  for (const auto& [device, path] :
       {std::pair<std::string, std::string>("cpu", CpuPath()), {"reference", "reference"}}) {
    const Outcome outcome = Route({"--device", device, "--json"});
    ASSERT_EQ(outcome.code, kExitOk);
    EXPECT_THAT(Ids(), ElementsAre(1, 2, 0, 1, 2, 3));
    EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("{\"path\": \"", path, "\", \"layer\": \"\", ")));
  }
}

TEST_F(RouteCommandTest, TheBiasSelectsAndTheWeightsDoNotHaveIt) {
  Save("b.npy", NpyType::kFloat32, {4}, std::vector<float>{0, 0, 0, 10});
  ASSERT_EQ(Route({"--bias", Path("b.npy")}).code, kExitOk);
  EXPECT_THAT(Ids(), ElementsAre(3, 1, 3, 0, 3, 2));
  EXPECT_THAT(Weights(), ElementsAre(2, 4, 1, 4, 2, 2));
  EXPECT_THAT(Counts(), ElementsAre(1, 1, 1, 3));
}

TEST_F(RouteCommandTest, ANanBiasTakesItsExpertOut) {
  Save("b.npy", NpyType::kFloat32, {4}, std::vector<float>{0, std::numeric_limits<float>::quiet_NaN(), 0, 0});
  ASSERT_EQ(Route({"--bias", Path("b.npy")}).code, kExitOk);
  EXPECT_THAT(Ids(), ElementsAre(2, 3, 0, 2, 2, 3));
}

TEST_F(RouteCommandTest, InvalidTokensAreNeitherRoutedNorCounted) {
  Save("m.npy", NpyType::kBool, {3}, std::vector<uint8_t>{1, 0, 1});
  const Outcome outcome = Route({"--valid", Path("m.npy"), "--json"});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(Ids(), ElementsAre(1, 2, -1, -1, 2, 3));
  EXPECT_THAT(Weights(), ElementsAre(4, 3, 0, 0, 2, 2));
  EXPECT_THAT(Counts(), ElementsAre(0, 1, 2, 1));
  EXPECT_EQ(outcome.out,
            absl::StrCat("{\"path\": \"", CpuPath(), "\", \"layer\": \"\", ") +
                "\"tokens\": 3, \"valid_tokens\": 2, \"num_experts\": 4, \"top_k\": 2, \"short_slots\": 0, "
                "\"max_violation\": 1, \"dead_experts\": 1}\n");
}

TEST_F(RouteCommandTest, NanLogitsAreDataAndShortSlotsAreReported) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Save("nan.npy", NpyType::kFloat32, {1, 4}, std::vector<float>{nan, nan, 7, nan});
  const Outcome outcome = Route({"--json"}, "nan.npy");
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(Ids(1), ElementsAre(2, -1));
  EXPECT_THAT(Weights(1), ElementsAre(7, 0));
  EXPECT_THAT(outcome.out, HasSubstr("\"short_slots\": 1"));
}

TEST_F(RouteCommandTest, Float16LogitsAreTaken) {
  Save("half.npy", NpyType::kFloat16, {1, 4}, std::vector<uint16_t>{0x3c00, 0xc000, 0x4000, 0x3800});  // 1 -2 2 .5
  ASSERT_EQ(Route({}, "half.npy").code, kExitOk);
  EXPECT_THAT(Ids(1), ElementsAre(2, 0));
  EXPECT_THAT(Weights(1), ElementsAre(2, 1));
}

TEST_F(RouteCommandTest, NoTokensAreNoError) {
  Save("none.npy", NpyType::kFloat32, {0, 4}, std::vector<float>());
  ASSERT_EQ(Route({}, "none.npy").code, kExitOk);
  EXPECT_THAT(Ids(0), IsEmpty());
  EXPECT_THAT(Weights(0), IsEmpty());
  EXPECT_THAT(Counts(), ElementsAre(0, 0, 0, 0));
}

TEST_F(RouteCommandTest, BadArraysAreRefusedByNameAndLeaveNothing) {
  Save("f8.npy", NpyType::kFloat64, {3, 4}, std::vector<double>(12));
  Save("wide.npy", NpyType::kFloat32, {3, 5}, std::vector<float>(15));
  Save("flat.npy", NpyType::kFloat32, {4}, std::vector<float>(4));
  Save("half_bias.npy", NpyType::kFloat16, {4}, std::vector<uint16_t>(4));
  Save("double_bias.npy", NpyType::kFloat64, {4}, std::vector<double>(4));
  Save("long_bias.npy", NpyType::kFloat32, {5}, std::vector<float>(5));
  Save("i8_mask.npy", NpyType::kInt64, {3}, std::vector<int64_t>(3));
  Save("long_mask.npy", NpyType::kBool, {4}, std::vector<uint8_t>(4));
  const std::string x = ReadFile("x.npy");
  WriteFile("short.npy", x.substr(0, x.size() - 7));

  ExpectFailed(Route({}, "f8.npy"), "f8.npy: dtype float64 is not float32 or float16");
  ExpectFailed(Route({}, "wide.npy"), "wide.npy: shape (3, 5) is not [tokens, num_experts = 4]");
  ExpectFailed(Route({}, "flat.npy"), "flat.npy: shape (4,) is not [tokens, num_experts = 4]");
  ExpectFailed(Route({}, "short.npy"), "short.npy: data: 41 bytes are fewer than the 48 of float32 (3, 4)");
  ExpectFailed(Route({}, "missing.npy"), "missing.npy: No such file or directory");
  ExpectFailed(Route({"--bias", Path("half_bias.npy")}), "half_bias.npy: dtype float16 is not float32");
  ExpectFailed(Route({"--bias", Path("double_bias.npy")}), "double_bias.npy: dtype float64 is not float32");
  ExpectFailed(Route({"--bias", Path("long_bias.npy")}), "long_bias.npy: shape (5,) is not [num_experts = 4]");
  ExpectFailed(Route({"--valid", Path("i8_mask.npy")}), "i8_mask.npy: dtype int64 is not bool");
  ExpectFailed(Route({"--valid", Path("long_mask.npy")}), "long_mask.npy: shape (4,) is not [tokens = 3]");
}

TEST_F(RouteCommandTest, BadSpecsAreRefusedByNameAndLeaveNothing) {
  const struct {
    absl::string_view spec;
    absl::string_view message;
  } kCases[] = {
      {R"({"num_experts": 4, "top_k": 2, "soft_cap": 30})", "spec.json:1:32: \"soft_cap\" is no field"},
      {R"({"num_experts": 4, "top_k": 2, "scale": NaN})", "spec.json:1:41: scale: \"NaN\" is not a finite number"},
      {R"({"num_experts": 4, "top_k": "two"})", "spec.json:1:29: top_k: \"two\" is not an integer"},
      {R"({"num_experts": 4, "top_k": 5})", "spec.json: top_k = 5: "},
      {R"({"num_experts": 4})", "spec.json: top_k: missing"},
      {R"({"num_experts": 4, "top_k": 2)", "spec.json:1:1: end of map flow not found"},
      {"", "spec.json: empty"},
  };
  for (const auto& c : kCases) {
    WriteFile("spec.json", c.spec);
    ExpectFailed(Route(), c.message);
  }
}

TEST_F(RouteCommandTest, AModelsConfigSaysTheRouter) {
  const Outcome outcome = RouteModel(
      R"({"model_type": "qwen3_moe", "num_hidden_layers": 2, "num_experts": 4, "num_experts_per_tok": 2,
          "norm_topk_prob": true})");
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("model.layers.0.mlp.gate: 3 tokens (3 valid), top 2 of 4 experts"));
  EXPECT_THAT(Ids(), ElementsAre(1, 2, 0, 1, 2, 3));
  const float first = 1 / (1 + std::exp(-1.0f));
  EXPECT_THAT(Weights(), Pointwise(FloatNear(1e-6f), {first, 1 - first, first, 1 - first, 0.5f, 0.5f}));
}

constexpr absl::string_view kTwoKinds = R"({"model_type": "hunyuan_v1_moe", "num_hidden_layers": 3, "num_experts": 4,
                                            "moe_topk": [1, 2, 1]})";

TEST_F(RouteCommandTest, ALayerIsChosenByNameOrIndex) {
  for (const char* layer : {"1", "model.layers.1.mlp.gate"}) {
    const Outcome outcome = RouteModel(kTwoKinds, {"--layer", layer, "--json"});
    ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
    EXPECT_THAT(Ids(), ElementsAre(1, 2, 0, 1, 2, 3));
    EXPECT_THAT(outcome.out, HasSubstr("\"layer\": \"model.layers.1.mlp.gate\""));
  }
}

TEST_F(RouteCommandTest, LayersThatDoNotRouteAlikeMustBeChosen) {
  ExpectFailed(RouteModel(kTwoKinds),
               "config.json: the layers do not route alike, so name one of them: "
               "model.layers.{0, 2}.mlp.gate, model.layers.1.mlp.gate");
  ExpectFailed(RouteModel(kTwoKinds, {"--layer", "7"}), "config.json: layer \"7\" is no MoE layer; those are: ");
  ExpectFailed(RouteModel(R"({"model_type": "llama"})"), "config.json:1:16: model_type: \"llama\" is no family");
  ExpectFailed(RouteModel(R"({"model_type": "dbrx"})"),
               "config.json:1:16: model_type: a RouteSpec cannot express dbrx");
}

TEST_F(RouteCommandTest, WhatThisBuildHasNotIsSaid) {
  ExpectFailed(Route({"--device", "cuda"}), "--device cuda: this build has no CUDA router");
}

TEST_F(RouteCommandTest, AnErrorLeavesOldResultsAsTheyWere) {
  ASSERT_EQ(Route().code, kExitOk);
  const std::string ids = ReadFile("out.ids.npy");
  const std::string counts = ReadFile("out.counts.npy");
  const std::vector<std::string> names = Names();
  WriteFile("spec.json", "{}");
  EXPECT_EQ(Route().code, kExitFailed);
  EXPECT_EQ(ReadFile("out.ids.npy"), ids);
  EXPECT_EQ(ReadFile("out.counts.npy"), counts);
  EXPECT_EQ(Names(), names);
}

TEST_F(RouteCommandTest, WrongCommandLinesExitWith2) {
  const struct {
    std::vector<std::string> args;
    absl::string_view message;
  } kCases[] = {
      {{"--spec", "s", "--out", "o"}, "--logits is required"},
      {{"--logits", "x", "--out", "o"}, "give one of --spec and --model"},
      {{"--spec", "s", "--model", "m", "--logits", "x", "--out", "o"}, "give one of --spec and --model"},
      {{"--spec", "s", "--layer", "3", "--logits", "x", "--out", "o"}, "--layer is of a --model"},
      {{"--spec", "s", "--logits", "x", "--out", "o", "--device", "tpu"}, "\"tpu\" is none of reference, cpu, cuda"},
      {{"--logit", "x"}, "unknown flag --logit; the flags are --spec"},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = RunCommand(kRouteCommand, c.args);
    EXPECT_EQ(outcome.code, kExitUsage);
    EXPECT_THAT(outcome.err, HasSubstr(c.message));
    EXPECT_THAT(outcome.err, HasSubstr("Try 'evenkeel route --help'."));
  }
}

}  // namespace
}  // namespace evenkeel::tools
