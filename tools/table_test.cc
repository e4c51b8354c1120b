#include "tools/table.h"

#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

TEST(TableTest, AlignsColumnsByCharacters) {
  Table table({{"name", Table::Align::kLeft}, {"step"}, {"why", Table::Align::kLeft}});
  table.AddRow({"a", "7", "moved"});
  table.AddRow({"\xe5\xb1\x82-longer", "12345", ""});
  EXPECT_EQ(table.Text(),
            "  name       step  why\n"
            "  a             7  moved\n"
            "  \xe5\xb1\x82-longer  12345\n");
}

TEST(TableTest, EscapesWhatDoesNotPrint) {
  Table table({{"name", Table::Align::kLeft}});
  table.AddRow({"a\x1b[2J\nb"});
  EXPECT_EQ(table.Text(), "  name\n  a\\033[2J\\nb\n");
}

TEST(TableTest, WithoutRowsThereAreTheTitles) { EXPECT_EQ(Table({{"a"}, {"b"}}).Text(), "  a  b\n"); }

}  // namespace
}  // namespace evenkeel::tools
