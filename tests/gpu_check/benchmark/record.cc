#include "tests/gpu_check/benchmark/record.h"

#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/gpu_check/json.h"

namespace evenkeel::benchmarks {
namespace {

struct Column {
  absl::string_view field;
  absl::string_view title;
  int width;  // negative: to the left
};

constexpr Column kColumns[] = {
    {"what", "what", -14},
    {"router", "router", -14},
    {"experts", "E", 4},
    {"dtype", "", -4},
    {"rows", "T", 6},
    {"l2", "L2", -4},
    {"launch", "launch", -6},
    {"us", "us", 9},
    {"best_us", "best", 9},
    {"bar_us", "bar", 4},
    {"copy_fraction", "of copy", 10},
    {"times_two_kernel", "x 2-kernel", 10},
    {"rows_differing", "differ", 6},
    {"times_eager", "x eager", 9},
    {"times_eager_graph", "x its graph", 11},
};

}  // namespace

Record::Record(absl::string_view what) { AddText("what", what); }

Record& Record::AddText(absl::string_view name, absl::string_view text) {
  fields_.push_back({std::string(name), std::string(text), /*quoted=*/true});
  return *this;
}

Record& Record::AddCount(absl::string_view name, int64_t count) {
  fields_.push_back({std::string(name), absl::StrCat(count), /*quoted=*/false});
  return *this;
}

Record& Record::AddNumber(absl::string_view name, double number) {
  const std::string text = std::isfinite(number) ? absl::StrFormat("%.6g", number) : "null";
  fields_.push_back({std::string(name), text, /*quoted=*/false});
  return *this;
}

std::string Record::Json() const {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const Field& field : fields_) {
    fields.emplace_back(field.name, field.quoted ? gpu_check::JsonString(field.text) : field.text);
  }
  return gpu_check::JsonObject(fields);
}

std::string Record::TableRow() const {
  const auto text = [this](absl::string_view name, absl::string_view otherwise) {
    for (const Field& field : fields_) {
      if (field.name == name) return field.text;
    }
    return std::string(otherwise);
  };
  std::string row;
  for (const Column& column : kColumns) absl::StrAppendFormat(&row, "%*s ", column.width, text(column.field, "-"));
  return row + text("skipped", "");
}

std::string TableHeader() {
  std::string header;
  for (const Column& column : kColumns) absl::StrAppendFormat(&header, "%*s ", column.width, column.title);
  return header;
}

void Report::Add(const Record& record) {
  json_->push_back(record.Json());
  if (!headed_) std::fprintf(stderr, "%s\n", TableHeader().c_str());
  headed_ = true;
  std::fprintf(stderr, "%s\n", record.TableRow().c_str());
}

}  // namespace evenkeel::benchmarks
