#include "tools/watch/frame.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Without escape codes, a character for each that is shown.
std::string Seen(const std::string& line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      while (line[i] != 'm') ++i;
    } else if ((line[i] & 0xc0) != 0x80) {
      text.push_back((line[i] & 0x80) == 0 ? line[i] : '@');
    }
  }
  return text;
}

std::vector<std::string> Seen(const std::vector<std::string>& lines) {
  std::vector<std::string> all;
  for (const std::string& line : lines) all.push_back(Seen(line));
  return all;
}

WatchView View(int layers, int experts) {
  WatchView view;
  view.coordinator = "host:7411";
  view.jobs = {"pretrain", "other"};
  view.job = "pretrain";
  v1::JobSummary* job = view.description.mutable_summary();
  job->set_name("pretrain");
  job->mutable_version()->set_step(80);
  job->set_epoch(3);
  job->set_joined(3);
  job->set_contributors(4);
  job->set_max_violation(.125);
  v1::ContributorCount* count = job->add_counts();
  count->set_state(v1::ContributorState::PUSHED);
  count->set_contributors(3);
  for (int i = 0; i < layers; ++i) {
    v1::LayerStatus* status = view.description.add_layers();
    status->set_name(absl::StrCat("model.layers.", i, ".gate"));
    status->set_max_violation(i * .25);
    LoadRow row;
    row.layer = status->name();
    for (int e = 0; e < experts; ++e) row.counts.push_back(static_cast<uint64_t>(e == i ? 9 : e == i + 1 ? 0 : 2));
    row.loads = LoadsOf(row.counts);
    row.bias.resize(row.counts.size());
    view.rows.push_back(row);
  }
  view.loads_step = 80;
  view.violations = {.5, .25, .125};
  return view;
}

TEST(FrameTest, AJobWithoutColours) {
  EXPECT_THAT(Seen(Frame(View(3, 8), {82, 20}, TerminalStyle())),
              ElementsAre(" evenkeel watch  host:7411  job pretrain (1 of 2)  step 80  epoch 3               ",
                          "contributors 3 of 4 joined: 3 pushed", "max violation 0.125, mean of layers ^-.",
                          "  layer               max violation    floor      min   dead  bias min  bias max",
                          "  model.layers.2.gate         0.500        -    0.000      0    0.0000    0.0000",
                          "  model.layers.1.gate         0.250        -    0.000      0    0.0000    0.0000",
                          "  model.layers.0.gate         0.000        -    0.000      0    0.0000    0.0000",
                          "load of step 80: 3 layers x 8 experts", ">0 *x------", " 1 -*x-----", " 2 --*x----",
                          "> model.layers.0.gate: fullest 0 (3.43), 2 (0.76), 3 (0.76); emptiest 1 (0.00), ..",
                          "q quit  up/down layer  tab job   load  x 0  , 1/4  - 1/2  = 1  + 2  # 4"));
}

TEST(FrameTest, HalfBlocksShowTwoLayersInALine) {
  TerminalStyle style;
  style.colours = TerminalStyle::Colours::kTrue;
  style.half_blocks = true;
  WatchView view = View(5, 8);
  view.selected = 3;
  const std::vector<std::string> lines = Seen(Frame(view, {100, 40}, style));
  const std::string all = absl::StrJoin(lines, "\n");
  EXPECT_THAT(all, HasSubstr("\n 0 @@@@@@@@\n>3 @@@@@@@@\n 4 @@@@@@@@\n> model.layers.3.gate: fullest 3"));
}

TEST(FrameTest, ColumnsAreTheFullestOfSeveralWhereTheWindowIsNarrow) {
  const std::string all = absl::StrJoin(Seen(Frame(View(2, 64), {24, 30}, TerminalStyle())), "\n");
  EXPECT_THAT(all, Not(HasSubstr("a column is")));
  const std::string wider = absl::StrJoin(Seen(Frame(View(2, 128), {90, 30}, TerminalStyle())), "\n");
  EXPECT_THAT(wider,
              HasSubstr("load of step 80: 2 layers x 128 experts; a column is the fullest of 2 experts\n>0 #==="));
  const std::string fits = absl::StrJoin(Seen(Frame(View(2, 64), {90, 30}, TerminalStyle())), "\n");
  EXPECT_THAT(fits, HasSubstr("load of step 80: 2 layers x 64 experts\n>0 #x==="));
}

TEST(FrameTest, LayersAroundTheChosenOneAreShownWhereTheWindowIsLow) {
  WatchView view = View(61, 8);
  view.selected = 30;
  const std::string all = absl::StrJoin(Seen(Frame(view, {100, 16}, TerminalStyle())), "\n");
  EXPECT_THAT(all, HasSubstr("61 layers x 8 experts; layers 26 to 35\n 25 "));
  EXPECT_THAT(all, HasSubstr("\n>30 "));
  EXPECT_THAT(all, HasSubstr("\n 34 ========\n> model.layers.30.gate"));
  view.selected = 60;
  EXPECT_THAT(absl::StrJoin(Seen(Frame(view, {100, 16}, TerminalStyle())), "\n"), HasSubstr("layers 52 to 61\n"));
}

TEST(FrameTest, WhatStandsOutIsOnTop) {
  WatchView view = View(2, 8);
  view.description.mutable_summary()->add_stragglers(3);
  view.description.mutable_summary()->set_staleness(2);
  view.trouble = "no coordinator answers at host:7411";
  const std::vector<std::string> lines = Seen(Frame(view, {100, 40}, TerminalStyle()));
  EXPECT_EQ(lines[1], "! no coordinator answers at host:7411");
  EXPECT_EQ(lines[2], "! step 0 waits for contributor 3");
  EXPECT_EQ(lines[3], "! the last step was routed with a version 2 steps late");
  const std::vector<std::string> low = Seen(Frame(view, {100, 16}, TerminalStyle()));
  EXPECT_EQ(low[2], "! step 0 waits for contributor 3 (and 1 more)");
}

TEST(FrameTest, WithoutAJobItSaysSo) {
  WatchView view;
  view.coordinator = "host:7411";
  EXPECT_THAT(Seen(Frame(view, {48, 10}, TerminalStyle())),
              ElementsAre(" evenkeel watch  host:7411                      ",
                          "no jobs; the first worker that joins makes one", "q quit  up/down layer"));
  view.trouble = "no coordinator answers";
  EXPECT_THAT(Seen(Frame(view, {48, 10}, TerminalStyle())),
              ElementsAre(testing::_, "! no coordinator answers", "q quit  up/down layer"));
}

TEST(FrameTest, WithoutColoursAndEmphasisThereIsNoCode) {
  TerminalStyle style;
  const auto text = [&] { return absl::StrJoin(Frame(View(3, 8), {82, 30}, style), "\n"); };
  EXPECT_THAT(text(), Not(HasSubstr("\x1b")));
  style.emphasis = true;
  EXPECT_THAT(text(), HasSubstr("\x1b[7m evenkeel watch"));
}

TEST(FrameTest, NoWindowIsOverrunWhateverIsInIt) {
  const int seed = 20261122;
  std::mt19937 random(seed);
  const auto draw = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most + 1)); };
  for (int i = 0; i < 2000; ++i) {
    WatchView view = View(draw(70), draw(300));
    view.selected = view.rows.empty() ? 0 : draw(static_cast<int>(view.rows.size()) - 1);
    if (draw(3) == 0) view.trouble = std::string(static_cast<size_t>(draw(300)), 't');
    if (draw(3) == 0) view.description.mutable_summary()->set_failure("\x1b[2J\xe5\xb1\x82" + std::string(200, 'f'));
    if (!view.rows.empty() && draw(1) == 0) {
      view.rows[0].layer = "layer\n\x1b[31m\xe5\xb1\x82" + std::string(static_cast<size_t>(draw(200)), 'n');
    }
    TerminalStyle style;
    style.half_blocks = draw(1) == 0;
    style.colours = static_cast<TerminalStyle::Colours>(draw(2));
    style.emphasis = draw(1) == 0;
    const WindowSize size = {1 + draw(250), 1 + draw(80)};
    const std::vector<std::string> lines = Frame(view, size, style);
    ASSERT_LE(lines.size(), static_cast<size_t>(size.lines)) << "seed " << seed << ", draw " << i;
    for (const std::string& line : lines) {
      const std::string seen = Seen(line);
      // The picture has at least eight columns, and a label.
      ASSERT_LE(seen.size(), static_cast<size_t>(std::max(size.columns, 22))) << "seed " << seed << ", draw " << i;
      ASSERT_EQ(seen.find_first_of("\n\r\x1b"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace evenkeel::tools
