#pragma once

#include <string>
#include <vector>

namespace evenkeel::tools {

// Where a picture's values lie: x runs with the steps, y upwards. Plain data.
struct Plot {
  static constexpr double kLeft = 52;
  static constexpr double kRight = 972;
  static constexpr double kTop = 12;
  static constexpr double kBottom = 258;
  static constexpr int kWidth = 1000;
  static constexpr int kHeight = 290;

  double first = 0;
  double last = 1;
  // Of y; where it is logarithmic, both are above 0.
  double least = 0;
  double most = 1;
  bool is_logarithmic = false;

  double X(double step) const;
  double Y(double value) const;
};

// Round numbers between `least` and `most`, about `count` of them.
std::vector<double> RoundTicks(double least, double most, int count);
// 1, 2 and 5 times the powers of ten between them.
std::vector<double> LogarithmicTicks(double least, double most);

// The plot's frame: lines and numbers at the ticks.
std::string AxesOf(const Plot& plot);

// "M1 2L3 4": through the points, to a tenth.
struct Point {
  double x;
  double y;
};
std::string PathOf(const std::vector<Point>& points);

}  // namespace evenkeel::tools
