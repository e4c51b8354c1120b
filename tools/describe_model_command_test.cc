#include "tools/describe_model_command.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/route_spec.h"
#include "config/text.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::HasSubstr;

class DescribeModelCommandTest : public FolderTest {
 protected:
  Outcome Describe(absl::string_view config, const std::vector<std::string>& more = {}) const {
    WriteFile("config.json", config);
    std::vector<std::string> args = {Path("config.json")};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand(kDescribeModelCommand, args);
  }
};

constexpr absl::string_view kDeepSeek =
    R"({"model_type": "deepseek_v3", "num_hidden_layers": 5, "n_routed_experts": 16, "num_experts_per_tok": 2,
        "n_group": 4, "topk_group": 2})";

TEST_F(DescribeModelCommandTest, ShowsLayersRoutersAndTensors) {
  const Outcome outcome = Describe(kDeepSeek);
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(outcome.out,
            "deepseek_v3, 5 layers: 2 with experts, 3 dense (0-2); balanced by a bias of its own\n"
            "  layers  experts  top k  bias on  weights  groups kept                       divided by   scaled by\n"
            "  3-4          16      2  SIGMOID  SCORE    2 of 4 by TOP2_SUM, fill NEG_INF  sum + 1e-20  2.5\n"
            "\n"
            "  what                 name\n"
            "  router               model.layers.{3-4}.mlp.gate\n"
            "  bias                 model.layers.{3-4}.mlp.gate.e_score_correction_bias\n"
            "  bias in checkpoints  model.layers.{3-4}.mlp.gate.e_score_correction_bias [16]\n");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(DescribeModelCommandTest, ShowsALineForAllThatRouteAlike) {
  const Outcome outcome = Describe(R"({"model_type": "hunyuan_v1_moe", "num_hidden_layers": 4, "num_experts": 4,
                                       "moe_topk": [1, 2, 1, 1]})");
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(outcome.out,
            "hunyuan_v1_moe, 4 layers: 4 with experts; without a balancing bias of its own\n"
            "  layers  experts  top k  bias on  weights              groups kept  divided by  scaled by\n"
            "  0, 2-3        4      1  LOGIT    SOFTMAX_OF_SELECTED  -            -           -\n"
            "  1             4      2  LOGIT    SOFTMAX_OF_SELECTED  -            -           -\n"
            "\n"
            "  what    name\n"
            "  router  model.layers.{0-3}.mlp.gate\n");
}

TEST_F(DescribeModelCommandTest, ShowsWhatIsPeculiar) {
  EXPECT_THAT(Describe(R"({"model_type": "longcat_flash", "num_layers": 1, "n_routed_experts": 8, "zero_expert_num": 4,
                           "moe_topk": 2})")
                  .out,
              testing::AllOf(HasSubstr("8 + 4 "), HasSubstr("\nnote: the last experts are identity experts")));
  EXPECT_THAT(Describe(R"({"model_type": "ernie4_5_vl_moe", "text_config": {"num_hidden_layers": 2,
                           "moe_num_experts": 8, "moe_k": 2}})")
                  .out,
              testing::AllOf(HasSubstr("ernie4_5_vl_moe, text_config: ernie4_5_vl_moe_text, 2 layers: 1 with experts"),
                             HasSubstr("max(sum, 1e-12)"), HasSubstr("routers "), HasSubstr("[2, 8]")));
  EXPECT_THAT(Describe(R"({"model_type": "llama4", "text_config": {"num_hidden_layers": 2, "num_local_experts": 8,
                           "num_experts_per_tok": 1}})")
                  .out,
              HasSubstr("weights on the input\n"));
  EXPECT_THAT(Describe(R"({"model_type": "minimax_m3_vl_text", "num_hidden_layers": 2, "num_local_experts": 8,
                           "num_experts_per_tok": 1})")
                  .out,
              HasSubstr("2 of the output\n"));
  EXPECT_THAT(Describe(R"({"model_type": "deepseek_v4", "num_hidden_layers": 4, "n_routed_experts": 8,
                           "num_experts_per_tok": 1})")
                  .out,
              HasSubstr("\nleft out: model.layers.0.mlp.gate: its experts are looked up by token id"));
  EXPECT_EQ(Describe(R"({"model_type": "granitemoe", "num_hidden_layers": 2, "num_local_experts": 0})").out,
            "granitemoe, 2 layers: 0 with experts, 2 dense (0-1)\n");
}

// evenkeel_test.py reads the whole of it as JSON.
TEST_F(DescribeModelCommandTest, SpecsInJsonAreRouteSpecs) {
  const Outcome outcome = Describe(kDeepSeek, {"--json"});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(RunCommand(kDescribeModelCommand, {"--json", Path("config.json")}).out, outcome.out);
  const size_t begin = outcome.out.find("\"spec\": ") + 8;
  const std::string spec = outcome.out.substr(begin, outcome.out.find('}', begin) + 1 - begin);
  v1::RouteSpec message;
  ASSERT_TRUE(config::ParseText(spec, "spec", &message).ok()) << spec;
  const auto parsed = config::RouteSpecFromProto(message);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->num_groups, 4);
  EXPECT_EQ(parsed->normalize_epsilon, 1e-20f);
  EXPECT_EQ(parsed->scale, 2.5f);
}

TEST_F(DescribeModelCommandTest, WhatCannotBeReadIsRefusedInOneLine) {
  const struct {
    absl::string_view config;
    absl::string_view message;
  } kCases[] = {
      {R"({"model_type": "llama"})", "config.json:1:16: model_type: \"llama\" is no family"},
      {R"({"model_type": "phimoe"})", "config.json:1:16: model_type: a RouteSpec cannot express phimoe: its sparse"},
      {R"({"model_type": "olmoe"})", "config.json:1:1: num_hidden_layers: missing"},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = Describe(c.config);
    EXPECT_EQ(outcome.code, kExitFailed);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(absl::StrCat("evenkeel describe-model: ", Path(""))));
    EXPECT_THAT(outcome.err, HasSubstr(c.message));
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1);
  }
  EXPECT_THAT(RunCommand(kDescribeModelCommand, {Path("none.json")}).err, HasSubstr("none.json: No such file"));
}

TEST_F(DescribeModelCommandTest, WrongCommandLinesExitWith2) {
  const struct {
    std::vector<std::string> args;
    absl::string_view message;
  } kCases[] = {
      {{}, "name a config.json"},
      {{""}, "name a config.json"},
      {{"--json"}, "name a config.json"},
      {{"a.json", "b.json"}, "b.json"},
      {{"a.json", "--yaml"}, "unknown flag --yaml"},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = RunCommand(kDescribeModelCommand, c.args);
    EXPECT_EQ(outcome.code, kExitUsage);
    EXPECT_THAT(outcome.err, HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace evenkeel::tools
