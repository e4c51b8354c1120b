#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"

// Loads as a picture of characters: a row for each layer, a column for each expert. Pure functions.
namespace evenkeel::tools {

// What a terminal can show.
struct TerminalStyle {
  enum class Colours { kNone, k256, kTrue };
  Colours colours = Colours::kNone;
  // Of what is not ASCII, the half blocks that show two layers in one line.
  bool half_blocks = false;
  // Bold and reverse text; without it, and without colours, there is no escape code.
  bool emphasis = false;

  int layers_per_line() const { return half_blocks && colours != Colours::kNone ? 2 : 1; }
};

// What the environment says: NO_COLOR, TERM, COLORTERM, and the character set of LC_ALL, LC_CTYPE or LANG.
// `variable` answers with the empty string where one is not set.
TerminalStyle StyleOf(const std::string& no_color, const std::string& term, const std::string& color_term,
                      const std::string& locale);

// Experts that share a column, so that `experts` fit into `width` columns: 1 where they do.
int ExpertsPerColumn(int experts, int width);

// Of each so many loads in a row the largest; NaN where none is a number.
std::vector<float> LargestOf(absl::Span<const float> loads, int per_column);

// A line of the picture, with the escape codes of `style`: `upper`, and with half blocks `lower` below it, which may be
// empty. A column for each load; it ends without colours.
std::string HeatLine(absl::Span<const float> upper, absl::Span<const float> lower, const TerminalStyle& style);

// What the colours or characters mean, without a line's end, and its width.
struct Legend {
  std::string text;
  int width = 0;
};
Legend LegendOf(const TerminalStyle& style);

}  // namespace evenkeel::tools
