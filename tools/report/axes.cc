#include "tools/report/axes.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace evenkeel::tools {
namespace {

// To a tenth, without a zero that says nothing.
std::string Tenth(double value) {
  const double rounded = std::round(value * 10) / 10;
  return absl::StrCat(rounded == 0 ? 0 : rounded);
}

std::string Line(double x1, double y1, double x2, double y2) {
  return absl::StrCat("<path class=\"grid\" d=\"M", Tenth(x1), " ", Tenth(y1), "L", Tenth(x2), " ", Tenth(y2), "\"/>");
}

std::string Text(double x, double y, const char* anchor, double value) {
  return absl::StrCat("<text x=\"", Tenth(x), "\" y=\"", Tenth(y), "\" text-anchor=\"", anchor, "\">",
                      absl::StrFormat("%.6g", value), "</text>");
}

}  // namespace

double Plot::X(double step) const {
  return last > first ? kLeft + (kRight - kLeft) * (step - first) / (last - first) : (kLeft + kRight) / 2;
}

double Plot::Y(double value) const {
  const double part = is_logarithmic
                          ? (std::log(std::max(value, least)) - std::log(least)) / (std::log(most) - std::log(least))
                          : (value - least) / (most - least);
  return kBottom - (kBottom - kTop) * std::clamp(part, 0.0, 1.0);
}

std::vector<double> RoundTicks(double least, double most, int count) {
  std::vector<double> ticks;
  if (!(most > least)) return {least};
  const double rough = (most - least) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough <= 1.5 * power ? 1 : rough <= 3.5 * power ? 2 : rough <= 7.5 * power ? 5 : 10);
  for (double i = std::ceil(least / step); i * step <= most * (1 + 1e-12) && ticks.size() < 100; ++i) {
    ticks.push_back(i == 0 ? 0 : i * step);
  }
  return ticks;
}

std::vector<double> LogarithmicTicks(double least, double most) {
  std::vector<double> ticks;
  for (double power = std::pow(10, std::floor(std::log10(least))); power <= most && ticks.size() < 100; power *= 10) {
    for (const double digit : {1, 2, 5}) {
      const double tick = digit * power;
      if (tick >= least * (1 - 1e-9) && tick <= most * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks;
}

std::string AxesOf(const Plot& plot) {
  std::string text;
  const std::vector<double> values =
      plot.is_logarithmic ? LogarithmicTicks(plot.least, plot.most) : RoundTicks(plot.least, plot.most, 5);
  for (const double value : values) {
    const double y = plot.Y(value);
    absl::StrAppend(&text, Line(Plot::kLeft, y, Plot::kRight, y), Text(Plot::kLeft - 6, y + 4, "end", value));
  }
  for (const double step : RoundTicks(plot.first, plot.last, 8)) {
    if (step != std::floor(step)) continue;
    const double x = plot.X(step);
    absl::StrAppend(&text, Line(x, Plot::kBottom, x, Plot::kBottom + 5), Text(x, Plot::kBottom + 19, "middle", step));
  }
  return text;
}

std::string PathOf(const std::vector<Point>& points) {
  std::string path;
  for (size_t i = 0; i < points.size(); ++i) {
    absl::StrAppend(&path, i == 0 ? "M" : "L", Tenth(points[i].x), " ", Tenth(points[i].y));
  }
  return path;
}

}  // namespace evenkeel::tools
