#include "tools/watch/heat_map.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/load_level.h"

namespace evenkeel::tools {
namespace {

using Colours = TerminalStyle::Colours;

constexpr char kUpperHalf[] = "\xe2\x96\x80";
constexpr char kPlain[] = "\x1b[0m";

// "38;2;1;2;3": a level as the colour of the character (38) or of what is behind it (48).
std::string ColourCode(int ground, int level, Colours colours) {
  const Rgb colour = LevelColour(level, /*is_dark=*/true);
  if (colours == Colours::k256) return absl::StrCat(ground, ";5;", TerminalColour(colour));
  return absl::StrCat(ground, ";2;", int{colour.red}, ";", int{colour.green}, ";", int{colour.blue});
}

// The codes that are in force where a line goes on, so that only what changes is sent.
class Grounds {
 public:
  explicit Grounds(const TerminalStyle& style) : style_(style) {}

  // What makes the next cell's colours those of these levels; without half blocks `upper` is what is behind it.
  std::string Change(int upper, int lower) {
    std::vector<std::string> codes;
    if (style_.layers_per_line() == 2) Set(38, upper, &front_, &codes);
    Set(48, style_.layers_per_line() == 2 ? lower : upper, &behind_, &codes);
    return codes.empty() ? "" : absl::StrCat("\x1b[", absl::StrJoin(codes, ";"), "m");
  }

 private:
  void Set(int ground, int level, int* now, std::vector<std::string>* codes) const {
    if (level == *now) return;
    *now = level;
    codes->push_back(ColourCode(ground, level, style_.colours));
  }

  const TerminalStyle& style_;
  int front_ = -1;
  int behind_ = -1;
};

}  // namespace

TerminalStyle StyleOf(const std::string& no_color, const std::string& term, const std::string& color_term,
                      const std::string& locale) {
  TerminalStyle style;
  const std::string set = absl::AsciiStrToLower(locale);
  style.half_blocks = absl::StrContains(set, "utf-8") || absl::StrContains(set, "utf8");
  style.emphasis = !term.empty() && term != "dumb";
  if (!no_color.empty() || !style.emphasis) return style;
  style.colours = color_term == "truecolor" || color_term == "24bit" ? Colours::kTrue : Colours::k256;
  return style;
}

int ExpertsPerColumn(int experts, int width) { return std::max(1, (experts + width - 1) / std::max(width, 1)); }

std::vector<float> LargestOf(absl::Span<const float> loads, int per_column) {
  std::vector<float> largest;
  for (size_t begin = 0; begin < loads.size(); begin += static_cast<size_t>(per_column)) {
    float most = std::numeric_limits<float>::quiet_NaN();
    for (const float load : loads.subspan(begin, static_cast<size_t>(per_column))) most = std::fmax(most, load);
    largest.push_back(most);
  }
  return largest;
}

std::string HeatLine(absl::Span<const float> upper, absl::Span<const float> lower, const TerminalStyle& style) {
  std::string line;
  Grounds grounds(style);
  for (size_t column = 0; column < std::max(upper.size(), lower.size()); ++column) {
    const int level = column < upper.size() ? LoadLevel(upper[column]) : kNoLevel;
    const int below = column < lower.size() ? LoadLevel(lower[column]) : kNoLevel;
    if (style.colours == Colours::kNone) {
      line.push_back(LevelCharacter(level));
      continue;
    }
    absl::StrAppend(&line, grounds.Change(level, below), style.layers_per_line() == 2 ? kUpperHalf : " ");
  }
  if (!line.empty() && style.colours != Colours::kNone) line.append(kPlain);
  return line;
}

Legend LegendOf(const TerminalStyle& style) {
  constexpr float kShown[] = {0, .25, .5, 1, 2, 4};
  Legend legend = {"load", 4};
  for (const float load : kShown) {
    const std::string number = load == 0 ? "0" : load < .5 ? "1/4" : load < 1 ? "1/2" : absl::StrCat(load);
    const std::string cell = style.colours == Colours::kNone
                                 ? std::string(1, LevelCharacter(LoadLevel(load)))
                                 : absl::StrCat("\x1b[", ColourCode(48, LoadLevel(load), style.colours), "m  ", kPlain);
    absl::StrAppend(&legend.text, "  ", cell, " ", number);
    legend.width += 3 + (style.colours == Colours::kNone ? 1 : 2) + static_cast<int>(number.size());
  }
  return legend;
}

}  // namespace evenkeel::tools
