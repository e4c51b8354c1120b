#include "tools/load_level.h"

#include <cmath>
#include <set>
#include <tuple>

#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

TEST(LoadLevelTest, LevelsAreQuartersOfADoubling) {
  EXPECT_EQ(LoadLevel(std::nanf("")), kNoLevel);
  EXPECT_EQ(LoadLevel(0), kDeadLevel);
  EXPECT_EQ(LoadLevel(1e-9f), kLeastLevel);
  EXPECT_EQ(LoadLevel(.25f), kLeastLevel);
  EXPECT_EQ(LoadLevel(.5f), kEvenLevel - 4);
  EXPECT_EQ(LoadLevel(.92f), kEvenLevel);
  EXPECT_EQ(LoadLevel(1), kEvenLevel);
  EXPECT_EQ(LoadLevel(1.09f), kEvenLevel);
  EXPECT_EQ(LoadLevel(1.1f), kEvenLevel + 1);
  EXPECT_EQ(LoadLevel(2), kEvenLevel + 4);
  EXPECT_EQ(LoadLevel(4), kMostLevel);
  EXPECT_EQ(LoadLevel(1e9f), kMostLevel);
}

TEST(LoadLevelTest, NoTwoLevelsLookAlike) {
  for (const bool is_dark : {false, true}) {
    std::set<std::tuple<int, int, int>> colours;
    for (int level = 0; level < kLevels; ++level) {
      const Rgb colour = LevelColour(level, is_dark);
      colours.insert({colour.red, colour.green, colour.blue});
    }
    EXPECT_EQ(colours.size(), kLevels);
  }
}

TEST(LoadLevelTest, CharactersSayWhatTheHelpSays) {
  EXPECT_EQ(LevelCharacter(LoadLevel(0)), 'x');
  EXPECT_EQ(LevelCharacter(LoadLevel(.2f)), ',');
  EXPECT_EQ(LevelCharacter(LoadLevel(.3f)), '.');
  EXPECT_EQ(LevelCharacter(LoadLevel(.7f)), '-');
  EXPECT_EQ(LevelCharacter(LoadLevel(1)), '=');
  EXPECT_EQ(LevelCharacter(LoadLevel(1.5f)), '+');
  EXPECT_EQ(LevelCharacter(LoadLevel(3)), '*');
  EXPECT_EQ(LevelCharacter(LoadLevel(5)), '#');
}

TEST(LoadLevelTest, TheTerminalsColoursAreTheNearest) {
  EXPECT_EQ(TerminalColour({0, 0, 0}), 16);
  EXPECT_EQ(TerminalColour({255, 255, 255}), 231);
  EXPECT_EQ(TerminalColour({255, 0, 0}), 196);
  EXPECT_EQ(TerminalColour({95, 135, 175}), 67);
  EXPECT_EQ(TerminalColour({48, 48, 48}), 236);
}

}  // namespace
}  // namespace evenkeel::tools
