#include "tools/report/page.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "tools/config_view.h"
#include "tools/report/charts.h"
#include "tools/report/markup.h"
#include "tools/report/style.h"
#include "tools/standouts.h"

namespace evenkeel::tools {
namespace {

std::string Fact(absl::string_view name, const std::string& value) {
  return absl::StrCat("<div><dt>", name, "</dt><dd>", value, "</dd></div>\n");
}

// "first -> last (of so many)": how even the run became.
std::string ViolationFact(const v1::GetHistoryResponse& history) {
  if (history.steps_size() == 0 || history.rows_size() == 0) return "-";
  const int rows = history.rows_size();
  const auto mean = [&](int sample) {
    double sum = 0;
    for (int row = 0; row < rows; ++row) sum += history.max_violation(sample * rows + row);
    return ShortNumber(sum / rows);
  };
  return absl::StrCat(mean(0), " \xe2\x86\x92 ", mean(history.steps_size() - 1));
}

std::string Rule(const v1::BalanceConfig& config) {
  return absl::StrCat(absl::AsciiStrToLower(v1::BalanceConfig::Rule_Name(config.rule())), " <small>rate ",
                      absl::StrCat(config.rate()), "</small>");
}

std::string Experts(const v1::DescribeJobResponse& description) {
  int least = description.layers_size() == 0 ? 0 : description.layers(0).num_experts();
  int most = least;
  for (const v1::LayerStatus& layer : description.layers()) {
    least = std::min(least, layer.num_experts());
    most = std::max(most, layer.num_experts());
  }
  const std::string each = least == most ? absl::StrCat(most) : absl::StrCat(least, " to ", most);
  return absl::StrCat(each, " <small>a layer</small>");
}

std::string Summary(const RunPicture& picture) {
  const v1::DescribeJobResponse& description = picture.description;
  const v1::JobSummary& job = description.summary();
  return absl::StrCat("<dl>\n", Fact("steps", Grouped(job.version().step())), Fact("tokens", Grouped(picture.tokens)),
                      Fact("layers", absl::StrCat(job.layers())), Fact("experts", Experts(description)),
                      Fact("max violation, mean of layers", ViolationFact(picture.history)),
                      Fact("rule", Rule(description.effective().balance())),
                      Fact("contributors", absl::StrCat(job.contributors())),
                      Fact("epoch", absl::StrCat(job.version().epoch())),
                      Fact("state hash", absl::StrFormat("<code>%016x</code>", job.state_hash())), "</dl>\n");
}

std::string List(const std::vector<std::string>& items, const char* name) {
  std::string text = absl::StrCat("<ul", name[0] == '\0' ? "" : absl::StrCat(" class=\"", name, "\""), ">\n");
  for (const std::string& item : items) absl::StrAppend(&text, "<li>", Escaped(item), "</li>\n");
  return absl::StrCat(text, "</ul>\n");
}

std::string Section(const char* title, const std::string& content, const char* name = "") {
  return absl::StrCat("<section", name[0] == '\0' ? "" : absl::StrCat(" class=\"", name, "\""), "><h2>", title,
                      "</h2>\n", content, "</section>\n");
}

std::string StandOutsSection(const RunPicture& picture) {
  const std::vector<std::string> all = StandOuts(picture.description);
  return all.empty() ? "" : Section("What stood out at the end", List(all, "warn"));
}

std::string ViolationSection(const RunPicture& picture) {
  if (picture.history.steps_size() < 2 || picture.history.rows_size() == 0) return "";
  const uint64_t stride = picture.history.stride();
  return Section(
      "Max violation over the steps",
      absl::StrCat("<p class=\"soft\">The load of a layer's fullest expert less 1: 0 is even, 1 is twice its share.",
                   stride > 1 ? absl::StrCat(" Each point is the largest of ", stride, " steps.") : "",
                   "</p>\n<div class=\"wide\">", ViolationPicture(picture),
                   "</div>\n<p class=\"legend\"><span><i class=\"worst\"></i> most uneven layer</span> <span><i "
                   "class=\"mean\"></i> mean of layers</span> <span><i class=\"floor\"></i> noise floor: a perfectly "
                   "even router</span></p>\n"));
}

std::string StepsText(const RunPicture::Loads& loads) {
  return loads.first_step == loads.last_step
             ? absl::StrCat("step ", loads.last_step)
             : absl::StrCat("steps ", loads.first_step, " to ", loads.last_step, " together");
}

std::string LoadSection(const char* when, const RunPicture::Loads& loads) {
  if (loads.rows.empty()) return "";
  return absl::StrCat("<h3>", when, ": ", StepsText(loads), "</h3>\n<div class=\"wide\">", LoadPicture(loads.rows),
                      "</div>\n");
}

std::string LoadsSection(const RunPicture& picture) {
  if (picture.end.rows.empty()) return "";
  const std::string none =
      picture.start.rows.empty() ? "<p class=\"soft\">The loads of the start are in the record alone.</p>\n" : "";
  return Section(
      "Load of every expert",
      absl::StrCat("<p class=\"soft\">A row is a layer, a column an expert; its tokens over its share.</p>\n",
                   LoadLegend(), LoadSection("At the end", picture.end), LoadSection("At the start", picture.start),
                   none),
      "long");
}

std::string BiasSection(const RunPicture& picture) {
  std::string text;
  for (const RunPicture::BiasHistory& bias : picture.biases) {
    const v1::LayerStatus& layer = picture.description.layers(bias.row);
    if (bias.history.bias_steps_size() < 2) continue;
    absl::StrAppend(&text, "<figure style=\"margin:0\"><h3>", Escaped(layer.name()),
                    layer.stream() == 0 ? "" : absl::StrCat(", stream ", layer.stream()), "</h3>\n<div class=\"wide\">",
                    BiasPicture(bias.history, layer.num_experts()), "</div></figure>\n");
  }
  if (text.empty()) return "";
  return Section("Bias of the most uneven layers",
                 absl::StrCat("<p class=\"soft\">What is added to each expert's score for its selection.</p>\n", text),
                 "long");
}

std::string ReasonText(v1::UpdateReason::Kind reason) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(v1::UpdateReason::Kind_Name(reason), {{"_", " "}}));
}

std::string Cell(const std::string& value, bool is_bad = false) {
  return absl::StrCat(is_bad ? "<td class=\"bad\">" : "<td>", value, "</td>");
}

std::string LayerLine(const v1::LayerStatus& layer) {
  const bool is_far = layer.noise_floor() > 0 && layer.max_violation() > kFarAboveNoise * layer.noise_floor();
  const std::string name = layer.stream() == 0 ? layer.name() : absl::StrCat(layer.name(), " stream ", layer.stream());
  return absl::StrCat("<tr><td>", Escaped(name), "</td>", Cell(absl::StrCat(layer.num_experts())),
                      Cell(absl::StrCat(layer.top_k())), Cell(ShortNumber(layer.max_violation()), is_far),
                      Cell(layer.noise_floor() > 0 ? ShortNumber(layer.noise_floor()) : "-"),
                      Cell(ShortNumber(layer.min_violation())), Cell(ShortNumber(layer.avg_violation())),
                      Cell(ShortNumber(layer.normalized_entropy())),
                      Cell(absl::StrCat(layer.dead_experts()), layer.dead_experts() > 0),
                      Cell(absl::StrCat(layer.starved_experts())), Cell(absl::StrFormat("%.4f", layer.bias_min())),
                      Cell(absl::StrFormat("%.4f", layer.bias_max())), Cell(absl::StrCat(layer.last_update())),
                      "<td class=\"word\">", Escaped(ReasonText(layer.last_reason())), "</td></tr>\n");
}

std::string LayersSection(const RunPicture& picture) {
  std::vector<const v1::LayerStatus*> layers;
  for (const v1::LayerStatus& layer : picture.description.layers()) layers.push_back(&layer);
  std::stable_sort(layers.begin(), layers.end(), [](const v1::LayerStatus* a, const v1::LayerStatus* b) {
    return a->max_violation() > b->max_violation();
  });
  std::string text =
      "<p class=\"soft\">Of the last step, the most uneven first.</p>\n<div "
      "class=\"wide\"><table><thead><tr><th>layer</th>"
      "<th>experts</th><th>top k</th><th>max violation</th><th>noise floor</th><th>min</th><th>avg</th><th>entropy</th>"
      "<th>dead</th><th>starved</th><th>bias min</th><th>bias max</th><th>last update</th><th "
      "class=\"word\">why</th></tr>"
      "</thead><tbody>\n";
  for (const v1::LayerStatus* layer : layers) absl::StrAppend(&text, LayerLine(*layer));
  return Section("Layers", absl::StrCat(text, "</tbody></table></div>\n"), "long");
}

std::string ChangesSection(const RunPicture& picture) {
  if (picture.description.changes().empty()) return "";
  const std::string table = ShowChanges(picture.description.changes(), picture.description.summary().open_step());
  std::string text;
  for (absl::string_view rest = table; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    absl::StrAppend(&text, Escaped(rest.substr(0, end)), "\n");
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return Section("Config changes", absl::StrCat("<pre>", text, "</pre>\n"), "long");
}

std::string EventsSection(const RunPicture& picture) {
  if (picture.events.empty()) return "";
  std::vector<std::string> texts;
  for (const RunPicture::Event& event : picture.events) texts.push_back(event.text);
  return Section("What happened", List(texts, ""), "long");
}

}  // namespace

std::string ReportPage(const RunPicture& picture) {
  const std::string name = Escaped(picture.description.summary().name());
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>",
      name, " \xe2\x80\x93 Evenkeel</title>\n<style>", ReportStyle(), "</style></head><body>\n<h1>", name,
      "</h1>\n<p class=\"soft\">How evenly the experts of this run were loaded. From ", Escaped(picture.source),
      ".</p>\n", Summary(picture), StandOutsSection(picture), ViolationSection(picture), LoadsSection(picture),
      BiasSection(picture), LayersSection(picture), ChangesSection(picture), EventsSection(picture),
      "<footer>Made by evenkeel report.</footer>\n</body></html>\n");
}

}  // namespace evenkeel::tools
