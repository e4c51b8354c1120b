#include "tools/watch/heat_map.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using Colours = TerminalStyle::Colours;
using testing::ElementsAre;
using testing::IsNan;

TEST(HeatMapTest, TheEnvironmentSaysWhatATerminalCanShow) {
  const auto style = [](const char* no_color, const char* term, const char* color_term, const char* locale) {
    return StyleOf(no_color, term, color_term, locale);
  };
  EXPECT_EQ(style("", "xterm", "truecolor", "").colours, Colours::kTrue);
  EXPECT_EQ(style("", "xterm", "24bit", "").colours, Colours::kTrue);
  EXPECT_EQ(style("", "xterm-256color", "", "").colours, Colours::k256);
  EXPECT_EQ(style("1", "xterm", "truecolor", "").colours, Colours::kNone);
  EXPECT_EQ(style("", "dumb", "truecolor", "").colours, Colours::kNone);
  EXPECT_EQ(style("", "", "", "").colours, Colours::kNone);
  EXPECT_TRUE(style("1", "xterm", "", "").emphasis);
  EXPECT_FALSE(style("", "dumb", "", "").emphasis);
  EXPECT_TRUE(style("", "xterm", "", "en_GB.UTF-8").half_blocks);
  EXPECT_TRUE(style("", "xterm", "", "C.utf8").half_blocks);
  EXPECT_FALSE(style("", "xterm", "", "C").half_blocks);
  EXPECT_EQ(style("", "xterm", "", "C.UTF-8").layers_per_line(), 2);
  EXPECT_EQ(style("1", "xterm", "", "C.UTF-8").layers_per_line(), 1);
}

TEST(HeatMapTest, AColumnIsTheFullestOfItsExperts) {
  EXPECT_EQ(ExpertsPerColumn(256, 256), 1);
  EXPECT_EQ(ExpertsPerColumn(256, 255), 2);
  EXPECT_EQ(ExpertsPerColumn(256, 70), 4);
  EXPECT_EQ(ExpertsPerColumn(0, 70), 1);
  const float none = std::nanf("");
  EXPECT_THAT(LargestOf({1, 3, 2, none, none}, 2), ElementsAre(3, 2, IsNan()));
  EXPECT_THAT(LargestOf({1, 3}, 1), ElementsAre(1, 3));
}

TEST(HeatMapTest, WithoutColoursThereAreCharacters) {
  EXPECT_EQ(HeatLine({std::nanf(""), 0, .1f, .3f, .6f, 1, 1.5f, 3, 9}, {}, TerminalStyle()), " x,.-=+*#");
}

TEST(HeatMapTest, HalfBlocksShowTwoLayersAndSayAColourOnce) {
  TerminalStyle style;
  style.half_blocks = true;
  style.colours = Colours::kTrue;
  EXPECT_EQ(HeatLine({1, 1, 0}, {1, 1, 1}, style),
            "\x1b[38;2;48;50;56;48;2;48;50;56m\xe2\x96\x80\xe2\x96\x80"
            "\x1b[38;2;255;70;255m\xe2\x96\x80\x1b[0m");
  style.colours = Colours::k256;
  EXPECT_EQ(HeatLine({0}, {}, style), "\x1b[38;5;207;48;5;234m\xe2\x96\x80\x1b[0m");
  style.half_blocks = false;
  EXPECT_EQ(HeatLine({0, 0}, {}, style), "\x1b[48;5;207m  \x1b[0m");
}

TEST(HeatMapTest, TheLegendIsAsWideAsItSays) {
  const Legend legend = LegendOf(TerminalStyle());
  EXPECT_EQ(legend.text, "load  x 0  , 1/4  - 1/2  = 1  + 2  # 4");
  EXPECT_EQ(legend.width, legend.text.size());
}

}  // namespace
}  // namespace evenkeel::tools
