#include "client/benchmark/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace evenkeel::step_benchmark {

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

double Median(const std::vector<double>& values) { return Quantile(values, 0.5); }

void Report::Add(const std::string& name, const std::string& value, const std::string& line) {
  fields_.push_back(absl::StrCat("\"", name, "\": ", value));
  if (!line.empty()) lines_.push_back(line);
}

void Report::AddSamples(const std::string& name, const std::string& title, const std::vector<double>& samples) {
  const double p50 = Median(samples);
  const double p99 = Quantile(samples, 0.99);
  Add(name, absl::StrFormat("{\"p50\": %.3f, \"p99\": %.3f}", p50, p99), "");
  rows_.push_back(absl::StrFormat("%-50s %9.1f %9.1f", title, p50, p99));
}

void Report::AddFigure(const std::string& name, double figure, const std::string& line) {
  Add(name, absl::StrFormat("%.6g", figure), line);
}

void Report::AddWords(const std::string& name, const std::string& words, const std::string& line) {
  Add(name, absl::StrCat("\"", absl::StrReplaceAll(words, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}), "\""),
      line);
}

std::string Report::Json() const { return absl::StrCat("\"", name_, "\": {", absl::StrJoin(fields_, ", "), "}"); }

std::string Report::Text() const {
  std::string text = absl::StrCat(title_, "\n");
  if (!rows_.empty()) absl::StrAppend(&text, absl::StrFormat("%-50s %9s %9s\n", "", "p50", "p99"));
  for (const std::string& row : rows_) absl::StrAppend(&text, row, "\n");
  for (const std::string& line : lines_) absl::StrAppend(&text, line, "\n");
  return text;
}

}  // namespace evenkeel::step_benchmark
