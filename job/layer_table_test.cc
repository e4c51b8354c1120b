#include "job/layer_table.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/test_messages.h"

namespace evenkeel::job {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

LayerTable Ragged() {
  v1::JobSpec spec;
  *spec.add_layers() = TestLayer("a", 4, 2);
  *spec.add_layers() = TestLayer("b", 3, 1);
  *spec.add_layers() = TestLayer("b.router", 8, 8);
  return LayerTable(spec);
}

TEST(LayerTableTest, LayersLieOneAfterAnother) {
  const LayerTable table = Ragged();
  ASSERT_EQ(table.size(), 3);
  EXPECT_EQ(table[0].name, "a");
  EXPECT_EQ(table[0].offset, 0);
  EXPECT_EQ(table[1].num_experts, 3);
  EXPECT_EQ(table[1].offset, 4);
  EXPECT_EQ(table[2].top_k, 8);
  EXPECT_EQ(table[2].offset, 7);
  EXPECT_EQ(table.total_experts(), 15);
}

TEST(LayerTableTest, NoLayers) {
  const LayerTable table;
  EXPECT_EQ(table.size(), 0);
  EXPECT_EQ(table.total_experts(), 0);
  EXPECT_EQ(table.Find("a"), -1);
}

TEST(LayerTableTest, FindsWholeNamesOnly) {
  const LayerTable table = Ragged();
  EXPECT_EQ(table.Find("a"), 0);
  EXPECT_EQ(table.Find("b"), 1);
  EXPECT_EQ(table.Find("b.router"), 2);
  for (const char* name : {"", "A", "aa", "b.", "b.router2", "c"}) EXPECT_EQ(table.Find(name), -1) << name;
}

TEST(LayerTableTest, NoNamesMeanAllLayers) {
  const absl::StatusOr<std::vector<int>> indices = Ragged().Indices(std::vector<std::string>());
  ASSERT_TRUE(indices.ok());
  EXPECT_THAT(*indices, ElementsAre(0, 1, 2));
  const absl::StatusOr<std::vector<int>> none = LayerTable().Indices(std::vector<std::string>());
  ASSERT_TRUE(none.ok());
  EXPECT_THAT(*none, IsEmpty());
}

TEST(LayerTableTest, IndicesAscendWhateverTheOrderOfTheNames) {
  const absl::StatusOr<std::vector<int>> indices = Ragged().Indices(std::vector<std::string>{"b.router", "a"});
  ASSERT_TRUE(indices.ok());
  EXPECT_THAT(*indices, ElementsAre(0, 2));
}

TEST(LayerTableTest, RefusesUnknownNames) {
  const absl::Status status = Ragged().Indices(std::vector<std::string>{"a", "nobody\n"}).status();
  EXPECT_THAT(status, IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                                "owned_layers: \"nobody\\n\""));
}

TEST(LayerTableTest, RefusesNamesGivenTwice) {
  const absl::Status status = Ragged().Indices(std::vector<std::string>{"b", "a", "b"}).status();
  EXPECT_THAT(status, IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                                "owned_layers: \"b\" is given twice"));
}

}  // namespace
}  // namespace evenkeel::job
