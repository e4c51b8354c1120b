#pragma once

#include <cstdint>

// How a load is shown where there is room for a colour or a character only: in terminals and in pictures. Pure.
namespace evenkeel::tools {

// Levels, ascending: no load at all (NaN); dead, a load of 0; then steps of a quarter of a doubling, from a quarter of
// the share or less to four times it or more. kEvenLevel is a load of 1, to within some 9 in a hundred.
inline constexpr int kNoLevel = 0;
inline constexpr int kDeadLevel = 1;
inline constexpr int kLeastLevel = 2;
inline constexpr int kEvenLevel = 10;
inline constexpr int kMostLevel = 18;
inline constexpr int kLevels = 19;

int LoadLevel(float load);

struct Rgb {
  uint8_t red;
  uint8_t green;
  uint8_t blue;
};

// From blue (starved) through a neutral (even), which is close to the background, to red and yellow (full); magenta
// is dead.
Rgb LevelColour(int level, bool is_dark);

// The nearest colour of a terminal that has 256.
int TerminalColour(Rgb colour);

// 'x' is dead; then ',', '.', '-', '=' (even), '+', '*', '#': about a quarter of the share or less, below a half, below
// even, even to a third, up to about twice, below four times, more.
char LevelCharacter(int level);

}  // namespace evenkeel::tools
