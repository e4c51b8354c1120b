#include "client/worker/layer_table.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LayerTableTest, KnowsTheCallersOrderAndTheProtocols) {
  const absl::StatusOr<LayerTable> table = LayerTable::Make({
      {"blocks.2.gate", 8, 2, ""},
      {"blocks.10.gate", 16, 4, ""},
      {"blocks.1.gate", 4, 1, ""},
  });
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->size(), 3);
  EXPECT_EQ(table->total_experts(), 28);
  // By their bytes: "1." < "10" < "2.".
  EXPECT_THAT(table->protocol_order(), ElementsAre(2, 1, 0));
  EXPECT_EQ(table->specs()[0].name(), "blocks.1.gate");
  EXPECT_EQ((*table)[0].name, "blocks.2.gate");
  EXPECT_EQ((*table)[0].first_row, 2);
  EXPECT_EQ((*table)[0].offset, 20);
  EXPECT_EQ((*table)[2].offset, 0);
}

TEST(LayerTableTest, FillsTheSizesOfARouteIn) {
  const absl::StatusOr<LayerTable> table = LayerTable::Make({
      {"counted", 8, 2, ""},
      {"routed", 16, 4, R"({"score": "SOFTMAX", "normalize": true, "scale": 2.5})"},
  });
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_FALSE((*table)[0].route.has_value());
  EXPECT_FALSE(table->specs()[0].has_route());
  ASSERT_TRUE((*table)[1].route.has_value());
  EXPECT_EQ((*table)[1].route->num_experts, 16);
  EXPECT_EQ((*table)[1].route->top_k, 4);
  EXPECT_EQ((*table)[1].route->score, routing::Score::kSoftmax);
  EXPECT_EQ(table->specs()[1].route().num_experts(), 16);
  EXPECT_EQ(table->specs()[1].route().scale(), 2.5f);
}

TEST(LayerTableTest, RefusesWhatIsWrongAndNamesIt) {
  struct Case {
    std::vector<LayerOptions> layers;
    std::string named;
  };
  const std::vector<Case> cases = {
      {{}, "layers"},
      {{{"", 8, 2, ""}}, "name"},
      {{{"gate", 0, 1, ""}}, "num_experts is 0"},
      {{{"gate", 16385, 1, ""}}, "num_experts is 16385"},
      {{{"gate", 8, 0, ""}}, "top_k is 0"},
      {{{"gate", 8, 9, ""}}, "top_k is 9"},
      {{{"gate", 8, 2, ""}, {"other", 8, 2, ""}, {"gate", 8, 2, ""}}, "twice"},
      {{{"gate", 8, 2, "{"}}, "route"},
      {{{"gate", 8, 2, R"({"sore": "SIGMOID"})"}}, "sore"},
      {{{"gate", 8, 2, R"({"score": "SIGMOYD"})"}}, "SIGMOYD"},
      {{{"gate", 8, 2, R"({"scale": -1})"}}, "scale"},
      {{{"gate", 8, 2, R"({"num_experts": 9})"}}, "num_experts 9"},
      {{{"gate", 8, 2, R"({"top_k": 3})"}}, "top_k 3"},
  };
  for (const Case& wrong : cases) {
    SCOPED_TRACE(wrong.named);
    const absl::StatusOr<LayerTable> table = LayerTable::Make(wrong.layers);
    EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(table.status().message()), HasSubstr(wrong.named));
    if (!wrong.layers.empty() && !wrong.layers[0].name.empty()) {
      EXPECT_THAT(std::string(table.status().message()), HasSubstr("\"gate\""));
    }
  }
}

TEST(LayerTableTest, PutsInitialBiasesInProtocolOrder) {
  LayerOptions b = {"b", 2, 1, ""};
  LayerOptions a = {"a", 3, 1, ""};
  EXPECT_TRUE(LayerTable::Make({b, a})->initial_bias().empty());
  b.initial_bias = {1, 2};
  EXPECT_THAT(LayerTable::Make({b, a})->initial_bias(), ::testing::ElementsAre(0, 0, 0, 1, 2));
  a.initial_bias = {5, 6, 7};
  EXPECT_THAT(LayerTable::Make({b, a})->initial_bias(), ::testing::ElementsAre(5, 6, 7, 1, 2));
  a.initial_bias.pop_back();
  EXPECT_THAT(std::string(LayerTable::Make({b, a}).status().message()),
              ::testing::HasSubstr("layer \"a\": initial_bias has 2 values; streams times num_experts is 3"));
}

TEST(LayerTableTest, StreamsAreRowsOneAfterAnother) {
  LayerOptions b = {"b", 2, 1, ""};
  LayerOptions a = {"a", 3, 1, ""};
  LayerOptions c = {"c", 4, 2, ""};
  a.streams = 2;
  a.counts_dispatched = true;
  c.counts_dispatched = true;
  a.initial_bias = {1, 2, 3, 4, 5, 6};
  const absl::StatusOr<LayerTable> table = LayerTable::Make({b, c, a});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->size(), 3);
  EXPECT_EQ(table->total_rows(), 4);
  EXPECT_EQ(table->total_experts(), 12);
  EXPECT_EQ((*table)[2].streams, 2);
  EXPECT_EQ((*table)[2].first_row, 0);
  EXPECT_EQ(OffsetOf((*table)[2], 1), 3);
  EXPECT_EQ((*table)[0].first_row, 2);
  EXPECT_EQ((*table)[0].offset, 6);
  EXPECT_EQ((*table)[1].first_row, 3);
  EXPECT_EQ((*table)[2].dispatched_offset, 0);
  EXPECT_EQ((*table)[0].dispatched_offset, -1);
  EXPECT_EQ((*table)[1].dispatched_offset, 6);
  EXPECT_EQ(table->shape().rows, 4);
  EXPECT_EQ(table->shape().dispatched, 10);
  EXPECT_EQ(table->specs()[0].streams(), 2);
  EXPECT_EQ(table->specs()[1].streams(), 0);  // as on the wire before there were any
  EXPECT_THAT(table->initial_bias(), ElementsAre(1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0));

  StepReport report;
  report.max_violation.resize(3);
  ReportViolations(*table, {0.5f, 2.0f, 1.0f, 0.25f}, &report);
  EXPECT_THAT(report.max_violation, ElementsAre(1.0f, 0.25f, 2.0f));

  a.initial_bias.pop_back();
  EXPECT_THAT(std::string(LayerTable::Make({b, c, a}).status().message()), HasSubstr("streams times num_experts is 6"));
  for (const int wrong : {0, -1, 17}) {
    a.streams = wrong;
    EXPECT_THAT(std::string(LayerTable::Make({a}).status().message()),
                HasSubstr("layer \"a\": streams is " + std::to_string(wrong) + "; 1 to 16 are allowed"));
  }
}

TEST(LayerTableTest, AStageOwnsSomeOfTheLayers) {
  LayerOptions a = {"a", 3, 1, ""};
  LayerOptions b = {"b", 2, 1, ""};
  b.owned = false;
  const LayerTable table = *LayerTable::Make({a, b});
  EXPECT_TRUE(table[0].owned);
  EXPECT_FALSE(table[1].owned);
  EXPECT_EQ(table.num_owned(), 1);
  EXPECT_THAT(std::string(LayerTable::Make({b}).status().message()), ::testing::HasSubstr("none of them is owned"));
}

}  // namespace
}  // namespace evenkeel::client
