#include "tools/watch/frame.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "tools/layer_names.h"
#include "tools/standouts.h"
#include "tools/top_experts.h"

namespace evenkeel::tools {
namespace {

using Lines = std::vector<std::string>;

constexpr char kBold[] = "1";
constexpr char kReverse[] = "7";

// ASCII that prints, cut to `width`; what is cut ends in "..".
std::string Fit(absl::string_view text, int width) {
  std::string line(text.substr(0, static_cast<size_t>(std::max(width, 0))));
  for (char& c : line) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  if (line.size() < text.size() && line.size() > 2) line.replace(line.size() - 2, 2, "..");
  return line;
}

// Likewise, of a name, whose end says more.
std::string FitName(absl::string_view name, size_t width) {
  if (name.size() <= width) return Fit(name, static_cast<int>(width));
  return absl::StrCat("..", Fit(name.substr(name.size() - (width - 2)), static_cast<int>(width)));
}

std::string Styled(const std::string& text, const char* code) {
  return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

std::string Title(const WatchView& view, int width) {
  std::string text = absl::StrCat(" evenkeel watch  ", view.coordinator);
  if (!view.job.empty()) {
    const v1::JobSummary& job = view.description.summary();
    absl::StrAppend(&text, "  job ", view.job);
    if (view.jobs.size() > 1) {
      const auto place = std::find(view.jobs.begin(), view.jobs.end(), view.job) - view.jobs.begin();
      absl::StrAppend(&text, " (", place + 1, " of ", view.jobs.size(), ")");
    }
    if (view.description.has_summary()) {
      absl::StrAppend(&text, "  step ", job.version().step(), "  epoch ", job.epoch());
    }
  }
  text = Fit(text, width);
  text.resize(static_cast<size_t>(width), ' ');
  return Styled(text, kReverse);
}

// "contributors 4 of 4 joined: 3 pushed, 1 awaited"
std::string Contributors(const v1::JobSummary& job) {
  std::vector<std::string> states;
  for (const v1::ContributorCount& count : job.counts()) {
    if (count.contributors() == 0) continue;
    states.push_back(
        absl::StrCat(count.contributors(), " ", absl::AsciiStrToLower(v1::ContributorState::Kind_Name(count.state()))));
  }
  return absl::StrCat("contributors ", job.joined(), " of ", job.contributors(), " joined", states.empty() ? "" : ": ",
                      absl::StrJoin(states, ", "));
}

// The newest values that fit, as heights against the largest of them.
std::string Sparkline(const std::deque<double>& values, size_t width, const TerminalStyle& style) {
  const size_t shown = std::min(values.size(), width);
  const auto begin = values.end() - static_cast<std::ptrdiff_t>(shown);
  const double most = shown == 0 ? 0 : *std::max_element(begin, values.end());
  std::string line;
  for (auto value = begin; value != values.end(); ++value) {
    const int eighths = most > 0 ? std::clamp(static_cast<int>(std::lround(8 * *value / most)), 1, 8) : 1;
    if (style.half_blocks) {
      line.append({'\xe2', '\x96', static_cast<char>(0x80 + eighths)});
    } else {
      line.push_back("__..--==^"[eighths]);
    }
  }
  return line;
}

std::string Violation(const WatchView& view, int width, const TerminalStyle& style) {
  std::string text =
      Fit(absl::StrFormat("max violation %.3f, mean of layers ", view.description.summary().max_violation()), width);
  const int left = width - static_cast<int>(text.size());
  return left < 8 ? text : absl::StrCat(text, Sparkline(view.violations, static_cast<size_t>(left), style));
}

std::vector<const v1::LayerStatus*> Worst(const WatchView& view, size_t count) {
  std::vector<const v1::LayerStatus*> layers;
  for (const v1::LayerStatus& layer : view.description.layers()) layers.push_back(&layer);
  std::stable_sort(layers.begin(), layers.end(), [](const v1::LayerStatus* a, const v1::LayerStatus* b) {
    return a->max_violation() > b->max_violation();
  });
  layers.resize(std::min(count, layers.size()));
  return layers;
}

void AddWorst(const WatchView& view, size_t count, int width, Lines* lines) {
  const std::vector<const v1::LayerStatus*> worst = Worst(view, count);
  if (worst.empty()) return;
  size_t name = 5;
  for (const v1::LayerStatus* layer : worst) name = std::max(name, layer->name().size());
  name = std::min(name, static_cast<size_t>(std::max(12, width - 61)));
  const auto row = [&](absl::string_view layer, const std::string& rest) {
    lines->push_back(Fit(absl::StrFormat("  %-*s %s", static_cast<int>(name), FitName(layer, name), rest), width));
  };
  row("layer", "max violation    floor      min   dead  bias min  bias max");
  lines->back() = Styled(lines->back(), kBold);
  for (const v1::LayerStatus* layer : worst) {
    const std::string floor = layer->noise_floor() > 0 ? absl::StrFormat("%.3f", layer->noise_floor()) : "-";
    row(layer->stream() == 0 ? layer->name() : absl::StrCat(layer->name(), "/", layer->stream()),
        absl::StrFormat("%13.3f %8s %8.3f %6d %9.4f %9.4f", layer->max_violation(), floor, layer->min_violation(),
                        layer->dead_experts(), layer->bias_min(), layer->bias_max()));
  }
}

// What the rows of the picture are called.
std::vector<std::string> Labels(const std::vector<LoadRow>& rows) {
  std::vector<std::string> names;
  for (const LoadRow& row : rows) names.push_back(row.layer);
  std::vector<std::string> labels = ShortNames(names);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].stream > 0) absl::StrAppend(&labels[i], "/", rows[i].stream);
  }
  return labels;
}

// The picture in the lines that are left: those around the selected row, where not all fit.
class Picture {
 public:
  Picture(const WatchView& view, int width, int lines, const TerminalStyle& style)
      : view_(view), style_(style), labels_(Labels(view.rows)) {
    for (const std::string& label : labels_) label_width_ = std::max(label_width_, label.size());
    label_width_ = std::min(label_width_, size_t{12});
    columns_ = std::max(8, width - static_cast<int>(label_width_) - 2);
    size_t experts = 0;
    for (const LoadRow& row : view.rows) experts = std::max(experts, row.loads.size());
    experts_ = static_cast<int>(experts);
    per_column_ = ExpertsPerColumn(experts_, columns_);
    const int rows = static_cast<int>(view.rows.size());
    shown_ = std::min(rows, std::max(lines - 1, 1) * style.layers_per_line());
    // Whole lines of two.
    const int first = std::clamp(view.selected - shown_ / 2, 0, rows - shown_);
    first_ = first - first % style.layers_per_line();
  }

  void AddTo(int width, Lines* lines) const {
    lines->push_back(Styled(Fit(Heading(), width), kBold));
    for (int row = first_; row < std::min(first_ + shown_, static_cast<int>(view_.rows.size()));
         row += style_.layers_per_line()) {
      lines->push_back(Line(row));
    }
  }

 private:
  std::string Heading() const {
    std::string text =
        absl::StrCat("load of step ", view_.loads_step, ": ", view_.rows.size(), " layers x ", experts_, " experts");
    if (shown_ < static_cast<int>(view_.rows.size())) {
      absl::StrAppend(&text, "; layers ", first_ + 1, " to ", std::min<size_t>(first_ + shown_, view_.rows.size()));
    }
    if (per_column_ > 1) absl::StrAppend(&text, "; a column is the fullest of ", per_column_, " experts");
    return text;
  }

  std::string Line(int row) const {
    const int last = std::min(row + style_.layers_per_line(), static_cast<int>(view_.rows.size())) - 1;
    const bool is_selected = row <= view_.selected && view_.selected <= last;
    const std::string& label = labels_[is_selected ? view_.selected : row];
    const std::string text = absl::StrFormat("%c%*s ", is_selected ? '>' : ' ', static_cast<int>(label_width_),
                                             FitName(label, label_width_));
    return absl::StrCat(is_selected ? Styled(text, kBold) : text,
                        HeatLine(Cells(row), last > row ? Cells(last) : std::vector<float>(), style_));
  }

  std::vector<float> Cells(int row) const { return LargestOf(view_.rows[row].loads, per_column_); }

  const WatchView& view_;
  const TerminalStyle& style_;
  const std::vector<std::string> labels_;
  size_t label_width_ = 1;
  int columns_ = 0;
  int experts_ = 0;
  int per_column_ = 1;
  int first_ = 0;
  int shown_ = 0;
};

// "layer l.3: fullest 17 (2.31), 4 (2.02), 9 (1.80); emptiest 8 (0.00), ..."
std::string Selected(const WatchView& view) {
  const std::vector<LoadRow> row = {view.rows[view.selected]};
  const auto experts = [&](bool cold) {
    std::vector<std::string> texts;
    for (const RankedExpert& one : TopExperts(row, 3, cold)) {
      texts.push_back(absl::StrFormat("%d (%.2f)", one.expert, one.load()));
    }
    return texts.empty() ? std::string("none") : absl::StrJoin(texts, ", ");
  };
  return absl::StrCat("> ", row[0].layer, row[0].stream > 0 ? absl::StrCat(" stream ", row[0].stream) : "",
                      ": fullest ", experts(false), "; emptiest ", experts(true));
}

std::string Footer(const WatchView& view, int width, const TerminalStyle& style) {
  const std::string keys = absl::StrCat("q quit  up/down layer", view.jobs.size() > 1 ? "  tab job" : "");
  const Legend legend = LegendOf(style);
  if (static_cast<int>(keys.size()) + 3 + legend.width > width) return Fit(keys, width);
  return absl::StrCat(keys, "   ", legend.text);
}

void AddStandOuts(const WatchView& view, size_t most, int width, Lines* lines) {
  const std::vector<std::string> all = StandOuts(view.description);
  for (size_t i = 0; i < std::min(most, all.size()); ++i) {
    const bool is_last = i + 1 == most && all.size() > most;
    const std::string more = is_last ? absl::StrCat(" (and ", all.size() - most, " more)") : "";
    lines->push_back(
        Styled(absl::StrCat(Fit(absl::StrCat("! ", all[i]), width - static_cast<int>(more.size())), more), kBold));
  }
}

void AddJob(const WatchView& view, const WindowSize& size, const TerminalStyle& style, Lines* lines) {
  const int width = size.columns;
  const bool is_small = size.lines < 20;
  AddStandOuts(view, is_small ? 1 : 4, width, lines);
  lines->push_back(Fit(Contributors(view.description.summary()), width));
  lines->push_back(Violation(view, width, style));
  if (!is_small) AddWorst(view, size.lines < 40 ? 3 : 6, width, lines);
  if (view.rows.empty()) return;
  const int left = size.lines - static_cast<int>(lines->size()) - 2;
  if (left < 2) return;
  Picture(view, width, left, style).AddTo(width, lines);
  lines->push_back(Fit(Selected(view), width));
}

// Of bold and reverse text.
std::string WithoutCodes(const std::string& line) {
  return absl::StrReplaceAll(line, {{"\x1b[1m", ""}, {"\x1b[7m", ""}, {"\x1b[0m", ""}});
}

}  // namespace

std::vector<std::string> Frame(const WatchView& view, const WindowSize& size, const TerminalStyle& style) {
  Lines lines = {Title(view, size.columns)};
  if (!view.trouble.empty()) lines.push_back(Styled(Fit(absl::StrCat("! ", view.trouble), size.columns), kBold));
  if (view.description.has_summary()) {
    AddJob(view, size, style, &lines);
  } else if (view.trouble.empty()) {
    lines.push_back(Fit("no jobs; the first worker that joins makes one", size.columns));
  }
  const auto room = static_cast<size_t>(std::max(size.lines, 1));
  lines.resize(std::min(lines.size(), std::max<size_t>(room - 1, 1)));
  if (room > 1) lines.push_back(Footer(view, size.columns, style));
  if (!style.emphasis && style.colours == TerminalStyle::Colours::kNone) {
    for (std::string& line : lines) line = WithoutCodes(line);
  }
  return lines;
}

}  // namespace evenkeel::tools
