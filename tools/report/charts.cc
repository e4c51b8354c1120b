#include "tools/report/charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/layer_names.h"
#include "tools/load_level.h"
#include "tools/report/axes.h"
#include "tools/report/markup.h"
#include "tools/top_experts.h"

namespace evenkeel::tools {
namespace {

std::string Svg(int width, int height, const char* label, const std::string& content) {
  return absl::StrCat("<svg viewBox=\"0 0 ", width, " ", height, "\" role=\"img\" aria-label=\"", label, "\">", content,
                      "</svg>\n");
}

std::string PathElement(const char* name, const std::string& path) {
  return absl::StrCat("<path class=\"", name, "\" d=\"", path, "\"/>");
}

// The cells of each level as one path, in units of cells; those beside each other as one.
std::array<std::string, kLevels> CellPaths(const std::vector<LoadRow>& rows) {
  std::array<std::string, kLevels> paths;
  for (size_t row = 0; row < rows.size(); ++row) {
    const std::vector<float>& loads = rows[row].loads;
    for (size_t begin = 0; begin < loads.size();) {
      const int level = LoadLevel(loads[begin]);
      size_t end = begin + 1;
      while (end < loads.size() && LoadLevel(loads[end]) == level) ++end;
      absl::StrAppend(&paths[static_cast<size_t>(level)], "M", begin, " ", row, "h", end - begin, "v1h-", end - begin,
                      "z");
      begin = end;
    }
  }
  return paths;
}

std::string NameOf(const LoadRow& row) {
  return row.stream == 0 ? row.layer : absl::StrCat(row.layer, " stream ", row.stream);
}

// "l.3: fullest expert 17 (2.31), emptiest 8 (0.02)"
std::string Hint(const LoadRow& row) {
  const std::vector<LoadRow> rows = {row};
  const auto first = [&](bool cold) {
    const std::vector<RankedExpert> experts = TopExperts(rows, 1, cold);
    return experts.empty() ? std::string("none") : absl::StrFormat("%d (%.3f)", experts[0].expert, experts[0].load());
  };
  return absl::StrCat(NameOf(row), ": fullest expert ", first(false), ", emptiest ", first(true));
}

// The mean of the values of one sample, and the largest.
struct Violations {
  double mean = 0;
  double most = 0;
};

std::vector<Violations> ViolationsOf(const v1::GetHistoryResponse& history) {
  const int rows = history.rows_size();
  std::vector<Violations> all;
  for (int sample = 0; sample < history.steps_size(); ++sample) {
    Violations one;
    for (int row = 0; row < rows; ++row) {
      const double value = history.max_violation(sample * rows + row);
      one.mean += value / rows;
      one.most = std::max(one.most, value);
    }
    all.push_back(one);
  }
  return all;
}

double MeanNoiseFloor(const v1::DescribeJobResponse& description) {
  double sum = 0;
  for (const v1::LayerStatus& layer : description.layers()) sum += layer.noise_floor();
  return sum / std::max(1, description.layers_size());
}

// Round numbers about all values that are above 0.
void SetViolationRange(const std::vector<Violations>& violations, double floor, Plot* plot) {
  double least = floor > 0 ? floor : 1e9;
  double most = floor;
  for (const Violations& one : violations) {
    if (one.mean > 0) least = std::min(least, one.mean);
    most = std::max(most, one.most);
  }
  plot->is_logarithmic = true;
  plot->most = std::max(most, 1e-3) * 1.15;
  plot->least = std::min(std::max(least, 1e-4), plot->most / 4) / 1.15;
}

std::string Marks(const std::vector<RunPicture::Event>& events, const Plot& plot) {
  std::string text;
  for (const RunPicture::Event& event : events) {
    const auto step = static_cast<double>(event.step);
    if (step < plot.first || step > plot.last) continue;
    absl::StrAppend(&text, "<path class=\"mark\" d=\"",
                    PathOf({{plot.X(step), Plot::kTop}, {plot.X(step), Plot::kBottom}}), "\"><title>",
                    Escaped(event.text), "</title></path>");
  }
  return text;
}

// Experts of a row in the order of their bias at the end, the lowest first.
std::vector<int> ByLastBias(const v1::GetHistoryResponse& bias, int num_experts) {
  std::vector<int> experts(static_cast<size_t>(num_experts));
  std::iota(experts.begin(), experts.end(), 0);
  const int last = (bias.bias_steps_size() - 1) * num_experts;
  std::stable_sort(experts.begin(), experts.end(),
                   [&](int a, int b) { return bias.bias(last + a) < bias.bias(last + b); });
  return experts;
}

// Between the biases at two places of their order, at every sample.
std::string Band(const v1::GetHistoryResponse& bias, int num_experts, double low, double high, const Plot& plot) {
  std::vector<Point> upper;
  std::vector<Point> lower;
  for (int sample = 0; sample < bias.bias_steps_size(); ++sample) {
    const float* const begin = bias.bias().data() + static_cast<std::ptrdiff_t>(sample) * num_experts;
    std::vector<float> sorted(begin, begin + num_experts);
    std::sort(sorted.begin(), sorted.end());
    const auto at = [&](double part) { return sorted[static_cast<size_t>(std::lround(part * (num_experts - 1)))]; };
    const double x = plot.X(static_cast<double>(bias.bias_steps(sample)));
    upper.push_back({x, plot.Y(at(high))});
    lower.push_back({x, plot.Y(at(low))});
  }
  upper.insert(upper.end(), lower.rbegin(), lower.rend());
  return absl::StrCat(PathOf(upper), "Z");
}

std::string BiasLine(const v1::GetHistoryResponse& bias, int num_experts, int expert, const char* name,
                     const Plot& plot) {
  std::vector<Point> points;
  for (int sample = 0; sample < bias.bias_steps_size(); ++sample) {
    points.push_back(
        {plot.X(static_cast<double>(bias.bias_steps(sample))), plot.Y(bias.bias(sample * num_experts + expert))});
  }
  return absl::StrCat("<path class=\"", name, "\" d=\"", PathOf(points), "\"><title>expert ", expert,
                      "</title></path>");
}

}  // namespace

std::string LoadPicture(const std::vector<LoadRow>& rows) {
  size_t experts = 1;
  std::vector<std::string> names;
  for (const LoadRow& row : rows) {
    experts = std::max(experts, row.loads.size());
    names.push_back(row.layer);
  }
  constexpr int kLeft = 52;
  constexpr int kPicture = 920;
  const int height = std::clamp(640 / std::max(1, static_cast<int>(rows.size())), 8, 22);
  const int bottom = 8 + height * static_cast<int>(rows.size());
  std::string text = absl::StrFormat("<g transform=\"translate(%d 8) scale(%.6g %d)\" shape-rendering=\"crispEdges\">",
                                     kLeft, static_cast<double>(kPicture) / static_cast<double>(experts), height);
  const std::array<std::string, kLevels> paths = CellPaths(rows);
  for (size_t level = 0; level < paths.size(); ++level) {
    if (!paths[level].empty()) absl::StrAppend(&text, PathElement(absl::StrCat("l", level).c_str(), paths[level]));
  }
  absl::StrAppend(&text, "</g>");
  const std::vector<std::string> labels = ShortNames(names);
  const size_t each = static_cast<size_t>((13 + height - 1) / height);
  for (size_t row = 0; row < rows.size(); ++row) {
    const int top = 8 + height * static_cast<int>(row);
    if (row % each == 0) {
      std::string label = labels[row].size() > 7 ? labels[row].substr(labels[row].size() - 7) : labels[row];
      if (rows[row].stream > 0) absl::StrAppend(&label, "/", rows[row].stream);
      absl::StrAppend(&text, "<text x=\"", kLeft - 6, "\" y=\"", top + height / 2 + 4, "\" text-anchor=\"end\">",
                      Escaped(label), "</text>");
    }
    absl::StrAppend(&text, "<rect class=\"row\" x=\"", kLeft, "\" y=\"", top, "\" width=\"", kPicture, "\" height=\"",
                    height, "\"><title>", Escaped(Hint(rows[row])), "</title></rect>");
  }
  for (const double expert : RoundTicks(0, static_cast<double>(experts) - 1, 8)) {
    if (expert != std::floor(expert)) continue;
    const double x = kLeft + kPicture * (expert + .5) / static_cast<double>(experts);
    absl::StrAppend(
        &text, absl::StrFormat("<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>", x, bottom + 16, expert));
  }
  return Svg(1000, bottom + 24, "load, layers by experts", text);
}

std::string LoadLegend() {
  constexpr std::pair<float, const char*> kShown[] = {{0, "none"},   {.25f, "a quarter or less"},
                                                      {.5f, "half"}, {1, "its share"},
                                                      {2, "twice"},  {4, "four times or more"}};
  std::string text = "<p class=\"legend\">";
  for (const auto& [load, words] : kShown) {
    absl::StrAppend(&text, "<span><svg viewBox=\"0 0 1 1\"><path class=\"l", LoadLevel(load),
                    "\" d=\"M0 0h1v1h-1z\"/></svg> ", words, "</span> ");
  }
  return absl::StrCat(text, "</p>\n");
}

std::string ViolationPicture(const RunPicture& picture) {
  const v1::GetHistoryResponse& history = picture.history;
  const std::vector<Violations> violations = ViolationsOf(history);
  const double floor = MeanNoiseFloor(picture.description);
  Plot plot;
  plot.first = static_cast<double>(history.steps(0));
  plot.last = static_cast<double>(history.steps(history.steps_size() - 1));
  SetViolationRange(violations, floor, &plot);
  std::vector<Point> worst;
  std::vector<Point> mean;
  for (int sample = 0; sample < history.steps_size(); ++sample) {
    const double x = plot.X(static_cast<double>(history.steps(sample)));
    worst.push_back({x, plot.Y(violations[static_cast<size_t>(sample)].most)});
    mean.push_back({x, plot.Y(violations[static_cast<size_t>(sample)].mean)});
  }
  std::string text = absl::StrCat(AxesOf(plot), Marks(picture.events, plot));
  if (floor > 0) {
    absl::StrAppend(&text, PathElement("floor", PathOf({{Plot::kLeft, plot.Y(floor)}, {Plot::kRight, plot.Y(floor)}})));
  }
  absl::StrAppend(&text, PathElement("worst", PathOf(worst)), PathElement("mean", PathOf(mean)));
  return Svg(Plot::kWidth, Plot::kHeight, "max violation over the steps", text);
}

std::string BiasPicture(const v1::GetHistoryResponse& bias, int num_experts) {
  Plot plot;
  plot.first = static_cast<double>(bias.bias_steps(0));
  plot.last = static_cast<double>(bias.bias_steps(bias.bias_steps_size() - 1));
  const auto [least, most] = std::minmax_element(bias.bias().begin(), bias.bias().end());
  const double margin = std::max(1e-6, .04 * (*most - *least));
  plot.least = *least - margin;
  plot.most = *most + margin;
  std::string text = absl::StrCat(AxesOf(plot), PathElement("band", Band(bias, num_experts, 0, 1, plot)),
                                  PathElement("middle", Band(bias, num_experts, .1, .9, plot)));
  const std::vector<int> experts = ByLastBias(bias, num_experts);
  const size_t shown = std::min<size_t>(3, experts.size() / 2);
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, BiasLine(bias, num_experts, experts[i], "low", plot),
                    BiasLine(bias, num_experts, experts[experts.size() - 1 - i], "high", plot));
  }
  std::vector<int> lowest(experts.begin(), experts.begin() + static_cast<std::ptrdiff_t>(shown));
  std::vector<int> highest(experts.rbegin(), experts.rbegin() + static_cast<std::ptrdiff_t>(shown));
  return absl::StrCat(
      Svg(Plot::kWidth, Plot::kHeight, "bias over the steps", text), "<p class=\"legend\"><span>",
      "<i class=\"high\"></i> ends highest: ", absl::StrJoin(highest, ", "),
      "</span> <span><i class=\"low\"></i> lowest: ", absl::StrJoin(lowest, ", "),
      "</span> <span><i class=\"middle\"></i> eight tenths of the experts</span> <span><i class=\"band\">"
      "</i> all</span></p>\n");
}

}  // namespace evenkeel::tools
