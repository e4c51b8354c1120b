#include "tools/top_experts.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

LoadRow Row(const std::string& layer, int stream, std::vector<uint64_t> counts) {
  LoadRow row;
  row.layer = layer;
  row.stream = stream;
  row.counts = std::move(counts);
  row.loads = LoadsOf(row.counts);
  row.bias.assign(row.counts.size(), -.5f);
  return row;
}

std::vector<std::pair<std::string, int>> Places(const std::vector<RankedExpert>& experts) {
  std::vector<std::pair<std::string, int>> places;
  for (const RankedExpert& one : experts) places.emplace_back(one.row->layer, one.expert);
  return places;
}

TEST(TopExpertsTest, TheFullestAndTheEmptiestOverAllLayers) {
  const std::vector<LoadRow> rows = {Row("a", 0, {4, 2, 0, 2}), Row("b", 0, {70, 10, 10, 10}), Row("c", 0, {0, 0})};
  EXPECT_THAT(Places(TopExperts(rows, 3, /*cold=*/false)),
              testing::ElementsAre(std::pair("b", 0), std::pair("a", 0), std::pair("a", 1)));
  EXPECT_THAT(Places(TopExperts(rows, 2, /*cold=*/true)), testing::ElementsAre(std::pair("a", 2), std::pair("b", 1)));
  EXPECT_EQ(TopExperts(rows, 100, false).size(), 8) << "a layer without tokens has no loads";
}

TEST(TopExpertsTest, TheTableShowsStreamsWhereThereAreSome) {
  std::vector<LoadRow> rows = {Row("a", 0, {3, 1})};
  EXPECT_EQ(ShowTopExperts(TopExperts(rows, 1, false)),
            "  layer  expert   load  tokens     bias\n"
            "  a           0  1.500       3  -0.5000\n");
  rows.push_back(Row("a", 1, {1, 9}));
  EXPECT_EQ(ShowTopExperts(TopExperts(rows, 1, false)),
            "  layer  stream  expert   load  tokens     bias\n"
            "  a           1       1  1.800       9  -0.5000\n");
}

TEST(TopExpertsTest, JsonHasEveryField) {
  const std::vector<LoadRow> rows = {Row("a\"", 0, {3, 1})};
  EXPECT_EQ(TopExpertsJson(TopExperts(rows, 1, true)),
            "[\n  {\"layer\": \"a\\\"\", \"stream\": 0, \"expert\": 1, \"load\": 0.5, \"tokens\": 1, \"bias\": -0.5}]");
  EXPECT_EQ(TopExpertsJson({}), "[]");
}

}  // namespace
}  // namespace evenkeel::tools
