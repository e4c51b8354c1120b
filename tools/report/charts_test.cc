#include "tools/report/charts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/load_level.h"
#include "tools/report/axes.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

LoadRow Row(const std::string& layer, std::vector<float> loads) {
  LoadRow row;
  row.layer = layer;
  row.loads = std::move(loads);
  row.counts.resize(row.loads.size());
  row.bias.resize(row.loads.size());
  return row;
}

TEST(ChartsTest, TicksAreRound) {
  EXPECT_THAT(RoundTicks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(RoundTicks(-1, 1, 4), ElementsAre(-1, -.5, 0, .5, 1));
  EXPECT_THAT(RoundTicks(3, 3, 4), ElementsAre(3));
  const std::vector<double> logarithmic = LogarithmicTicks(.05, 3);
  ASSERT_EQ(logarithmic.size(), 6);
  EXPECT_NEAR(logarithmic.front(), .05, 1e-12);
  EXPECT_NEAR(logarithmic.back(), 2, 1e-12);
}

TEST(ChartsTest, APlotSpansItsRange) {
  Plot plot;
  plot.first = 10;
  plot.last = 20;
  plot.least = .01;
  plot.most = 1;
  plot.is_logarithmic = true;
  EXPECT_EQ(plot.X(10), Plot::kLeft);
  EXPECT_EQ(plot.X(20), Plot::kRight);
  EXPECT_EQ(plot.Y(.01), Plot::kBottom);
  EXPECT_EQ(plot.Y(1), Plot::kTop);
  EXPECT_NEAR(plot.Y(.1), (Plot::kTop + Plot::kBottom) / 2, 1e-9);
  EXPECT_EQ(plot.Y(0), Plot::kBottom) << "below the range";
}

// Cell by cell, what a picture's paths of cells say: the level of each; -1 where no path or more than one covers it.
std::vector<std::vector<int>> CellsOf(const std::string& svg, size_t rows, size_t experts) {
  std::vector<std::vector<int>> cells(rows, std::vector<int>(experts, -1));
  constexpr char kPath[] = "<path class=\"l";
  for (size_t at = svg.find(kPath); at != std::string::npos; at = svg.find(kPath, at + 1)) {
    int level = 0;
    int read = 0;
    EXPECT_EQ(std::sscanf(svg.c_str() + at, "<path class=\"l%d\" d=\"%n", &level, &read), 1);
    const char* run = svg.c_str() + at + read;
    size_t first = 0;
    size_t row = 0;
    size_t width = 0;
    size_t back = 0;
    while (std::sscanf(run, "M%zu %zuh%zuv1h-%zuz%n", &first, &row, &width, &back, &read) == 4) {
      EXPECT_EQ(width, back);
      for (size_t e = first; e < first + width; ++e) {
        int& cell = cells.at(row).at(e);
        cell = cell == -1 ? level : -2;
      }
      run += read;
    }
    EXPECT_EQ(*run, '"') << "what is no run";
  }
  return cells;
}

TEST(ChartsTest, EveryCellHasTheColourOfItsLoad) {
  const float none = std::nanf("");
  const std::vector<LoadRow> rows = {Row("l.0", {1, 1, 0, 4, 4, none, .25f}), Row("l.1", {2, .5f, 1})};
  const auto cells = CellsOf(LoadPicture(rows), 2, 7);
  for (size_t row = 0; row < 2; ++row) {
    for (size_t e = 0; e < 7; ++e) {
      const int level = e < rows[row].loads.size() ? LoadLevel(rows[row].loads[e]) : -1;
      EXPECT_EQ(cells[row][e], level) << row << " " << e;
    }
  }
}

TEST(ChartsTest, NamesInAPictureAreEscaped) {
  const std::string svg = LoadPicture({Row("a.<b>", {1, 2}), Row("a.\"&", {1, 2})});
  EXPECT_THAT(svg, HasSubstr(">&lt;b&gt;</text>"));
  EXPECT_THAT(svg, HasSubstr("<title>a.&quot;&amp;: fullest expert 1 (2.000), emptiest 0 (1.000)</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("<b>")));
}

TEST(ChartsTest, TheViolationIsTheWorstAndTheMeanOfRows) {
  RunPicture picture;
  v1::GetHistoryResponse& history = picture.history;
  history.set_stride(1);
  for (int row = 0; row < 2; ++row) history.add_rows();
  for (const auto& [step, a, b] : {std::tuple(1, .2f, .6f), std::tuple(2, .1f, .3f)}) {
    history.add_steps(static_cast<uint64_t>(step));
    history.add_max_violation(a);
    history.add_max_violation(b);
  }
  picture.description.add_layers()->set_noise_floor(.05);
  picture.events = {{2, "step 2 <was> skipped"}, {9, "beyond"}};
  const std::string svg = ViolationPicture(picture);
  Plot plot;
  plot.first = 1;
  plot.last = 2;
  plot.is_logarithmic = true;
  plot.most = .6 * 1.15;
  plot.least = .05 / 1.15;
  // The input is float32.
  EXPECT_THAT(svg, HasSubstr(absl::StrCat("<path class=\"worst\" d=\"",
                                          PathOf({{plot.X(1), plot.Y(.6)}, {plot.X(2), plot.Y(.3)}}), "\"/>")));
  EXPECT_THAT(svg, HasSubstr(absl::StrCat("<path class=\"mean\" d=\"",
                                          PathOf({{plot.X(1), plot.Y(.4)}, {plot.X(2), plot.Y(.2)}}), "\"/>")));
  EXPECT_THAT(svg, HasSubstr("<path class=\"floor\""));
  EXPECT_THAT(svg, HasSubstr("<title>step 2 &lt;was&gt; skipped</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("beyond")));
  picture.description.mutable_layers(0)->clear_noise_floor();
  EXPECT_THAT(ViolationPicture(picture), Not(HasSubstr("floor")));
}

TEST(ChartsTest, AViolationOfZeroIsStillAPicture) {
  RunPicture picture;
  picture.history.add_rows();
  for (const uint64_t step : {1, 2}) {
    picture.history.add_steps(step);
    picture.history.add_max_violation(0);
  }
  const std::string svg = ViolationPicture(picture);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(ChartsTest, TheBiasNamesWhichEndHighestAndLowest) {
  constexpr int kExperts = 10;
  v1::GetHistoryResponse bias;
  for (const uint64_t step : {1, 5}) {
    bias.add_bias_steps(step);
    for (int e = 0; e < kExperts; ++e) bias.add_bias(static_cast<float>(step) * static_cast<float>((e * 7) % 10 - 5));
  }
  const std::string svg = BiasPicture(bias, kExperts);
  EXPECT_THAT(svg, HasSubstr("ends highest: 7, 4, 1</span>"));
  EXPECT_THAT(svg, HasSubstr("lowest: 0, 3, 6</span>"));
  EXPECT_THAT(svg, HasSubstr("<title>expert 7</title>"));
  v1::GetHistoryResponse still;
  for (const uint64_t step : {1, 2}) {
    still.add_bias_steps(step);
    still.add_bias(0);
  }
  EXPECT_THAT(BiasPicture(still, 1), Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace evenkeel::tools
