#include "tools/load_level.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/check.h"

namespace evenkeel::tools {
namespace {

struct Scale {
  Rgb starved;
  Rgb low;
  Rgb even;
  Rgb high;
  Rgb full;
  Rgb dead;
  Rgb none;
};

constexpr Scale kDark = {{110, 190, 255}, {45, 110, 200}, {48, 50, 56}, {214, 72, 48},
                         {255, 222, 92},  {255, 70, 255}, {24, 25, 28}};
constexpr Scale kLight = {{16, 62, 150}, {96, 156, 226}, {240, 239, 235}, {232, 122, 84},
                          {122, 12, 30}, {208, 0, 208},  {255, 255, 255}};

uint8_t Between(uint8_t a, uint8_t b, double part) { return static_cast<uint8_t>(std::lround(a + (b - a) * part)); }

Rgb Between(Rgb a, Rgb b, double part) {
  return {Between(a.red, b.red, part), Between(a.green, b.green, part), Between(a.blue, b.blue, part)};
}

int SquaredDistance(Rgb a, Rgb b) {
  const int red = a.red - b.red;
  const int green = a.green - b.green;
  const int blue = a.blue - b.blue;
  return red * red + green * green + blue * blue;
}

// A channel in the cube of 6 x 6 x 6.
int CubeStep(uint8_t value) { return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40; }

uint8_t CubeValue(int step) { return static_cast<uint8_t>(step == 0 ? 0 : 55 + 40 * step); }

}  // namespace

int LoadLevel(float load) {
  if (std::isnan(load)) return kNoLevel;
  if (!(load > 0)) return kDeadLevel;
  const double quarters = std::round(4 * std::log2(double{load}));
  return kEvenLevel + static_cast<int>(std::clamp<double>(quarters, kLeastLevel - kEvenLevel, kMostLevel - kEvenLevel));
}

Rgb LevelColour(int level, bool is_dark) {
  EVENKEEL_CHECK(level >= 0 && level < kLevels);
  const Scale& scale = is_dark ? kDark : kLight;
  if (level == kNoLevel) return scale.none;
  if (level == kDeadLevel) return scale.dead;
  const int distance = std::abs(level - kEvenLevel);
  const Rgb near = level < kEvenLevel ? scale.low : scale.high;
  const Rgb far = level < kEvenLevel ? scale.starved : scale.full;
  constexpr int kHalf = (kMostLevel - kEvenLevel) / 2;
  if (distance <= kHalf) return Between(scale.even, near, static_cast<double>(distance) / kHalf);
  return Between(near, far, static_cast<double>(distance - kHalf) / kHalf);
}

int TerminalColour(Rgb colour) {
  const int red = CubeStep(colour.red);
  const int green = CubeStep(colour.green);
  const int blue = CubeStep(colour.blue);
  const Rgb cube = {CubeValue(red), CubeValue(green), CubeValue(blue)};
  const int mean = (colour.red + colour.green + colour.blue) / 3;
  const int grey_step = std::clamp((mean - 3) / 10, 0, 23);
  const auto grey_value = static_cast<uint8_t>(8 + 10 * grey_step);
  const Rgb grey = {grey_value, grey_value, grey_value};
  if (SquaredDistance(grey, colour) < SquaredDistance(cube, colour)) return 232 + grey_step;
  return 16 + 36 * red + 6 * green + blue;
}

char LevelCharacter(int level) {
  EVENKEEL_CHECK(level >= 0 && level < kLevels);
  constexpr char kCharacters[] = " x,...---===+++***#";
  static_assert(sizeof(kCharacters) == kLevels + 1);
  return kCharacters[level];
}

}  // namespace evenkeel::tools
