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

// "a" has two streams, "b" one, "c" three; "a" and "c" count what a capacity limit left.
LayerTable WithStreams() {
  v1::JobSpec spec;
  *spec.add_layers() = TestLayer("a", 4, 2);
  *spec.add_layers() = TestLayer("b", 3, 1);
  *spec.add_layers() = TestLayer("c", 2, 1);
  spec.mutable_layers(0)->set_streams(2);
  spec.mutable_layers(2)->set_streams(3);
  spec.mutable_layers(0)->set_counts_dispatched(true);
  spec.mutable_layers(2)->set_counts_dispatched(true);
  return LayerTable(spec);
}

TEST(LayerTableTest, StreamsAreRowsOneAfterAnother) {
  const LayerTable table = WithStreams();
  std::vector<std::string> rows;
  std::vector<int> offsets;
  std::vector<int> dispatched_offsets;
  for (const LayerTable::Row& row : table.rows()) {
    rows.push_back(Quoted(row));
    offsets.push_back(row.offset);
    dispatched_offsets.push_back(row.dispatched_offset);
  }
  EXPECT_THAT(rows, ElementsAre("layer \"a\" stream 0", "layer \"a\" stream 1", "layer \"b\"", "layer \"c\" stream 0",
                                "layer \"c\" stream 1", "layer \"c\" stream 2"));
  EXPECT_THAT(offsets, ElementsAre(0, 4, 8, 11, 13, 15));
  EXPECT_THAT(dispatched_offsets, ElementsAre(0, 4, -1, 8, 10, 12));
  EXPECT_EQ(table.total_experts(), 17);
  EXPECT_EQ(table.dispatched_experts(), 14);
}

TEST(LayerTableTest, ALayersNameMeansAllItsStreams) {
  const LayerTable table = WithStreams();
  EXPECT_EQ(table.Find("a"), 0);
  EXPECT_EQ(table.Find("b"), 2);
  EXPECT_EQ(table.Find("c"), 3);
  const absl::StatusOr<std::vector<int>> indices = table.Indices(std::vector<std::string>{"c", "a"});
  ASSERT_TRUE(indices.ok());
  EXPECT_THAT(*indices, ElementsAre(0, 1, 3, 4, 5));
  EXPECT_THAT(table.Indices(std::vector<std::string>{"c", "a", "c"}).status(),
              IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        "owned_layers: \"c\" is given twice"));
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
