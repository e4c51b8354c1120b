#include "server/telemetry/parsed_page.h"

#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace evenkeel::telemetry {
namespace {

bool IsName(absl::string_view name) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '_') return false;
  }
  return true;
}

// Takes a quoted label value off the front of `text`.
bool ConsumeQuoted(absl::string_view* text, std::string* value) {
  if (!absl::ConsumePrefix(text, "\"")) return false;
  while (!text->empty()) {
    const char c = text->front();
    text->remove_prefix(1);
    if (c == '"') return true;
    if (c != '\\') {
      *value += c;
      continue;
    }
    if (text->empty()) return false;
    const size_t escaped = absl::string_view("\\\"n").find(text->front());
    if (escaped == absl::string_view::npos) return false;
    *value += "\\\"\n"[escaped];
    text->remove_prefix(1);
  }
  return false;
}

// Takes {name="value",...} off the front of `text`, if it begins so.
bool ConsumeLabels(absl::string_view* text, std::map<std::string, std::string>* labels) {
  if (!absl::ConsumePrefix(text, "{")) return true;
  do {
    const std::string name(text->substr(0, text->find('=')));
    if (!IsName(name) || !absl::ConsumePrefix(text, name + "=")) return false;
    if (!ConsumeQuoted(text, &(*labels)[name])) return false;
  } while (absl::ConsumePrefix(text, ","));
  return absl::ConsumePrefix(text, "}");
}

bool ParseSample(absl::string_view line, ParsedPage::Sample* sample) {
  sample->name = std::string(line.substr(0, line.find_first_of("{ ")));
  line.remove_prefix(sample->name.size());
  return IsName(sample->name) && ConsumeLabels(&line, &sample->labels) && absl::ConsumePrefix(&line, " ") &&
         absl::SimpleAtod(line, &sample->value);
}

bool BelongsTo(absl::string_view sample, absl::string_view family, absl::string_view type) {
  if (!absl::ConsumePrefix(&sample, family)) return false;
  if (type == "histogram") return sample == "_bucket" || sample == "_sum" || sample == "_count";
  return sample.empty();
}

class Parser {
 public:
  absl::Status Line(absl::string_view line) {
    if (absl::ConsumePrefix(&line, "# HELP ")) return Help(line);
    if (absl::ConsumePrefix(&line, "# TYPE ")) return Type(line);
    return Sample(line);
  }
  ParsedPage Finish() { return std::move(page_); }

 private:
  static absl::Status Invalid(absl::string_view why, absl::string_view line) {
    return absl::InvalidArgumentError(absl::StrCat(why, ": ", line));
  }

  absl::Status Help(absl::string_view line) {
    const std::pair<std::string, std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (!IsName(words.first)) return Invalid("not a name", line);
    if (page_.families.count(words.first) > 0) return Invalid("family given twice", line);
    family_ = words.first;
    page_.families[family_].help = words.second;
    return absl::OkStatus();
  }

  absl::Status Type(absl::string_view line) {
    const std::pair<std::string, std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (words.first != family_ || !page_.families[family_].type.empty()) return Invalid("TYPE out of place", line);
    page_.families[family_].type = words.second;
    return absl::OkStatus();
  }

  absl::Status Sample(absl::string_view line) {
    ParsedPage::Sample sample;
    if (!ParseSample(line, &sample)) return Invalid("not a sample", line);
    const auto family = page_.families.find(family_);
    if (family == page_.families.end() || !BelongsTo(sample.name, family_, family->second.type)) {
      return Invalid("sample outside its family", line);
    }
    if (!seen_.insert({sample.name, sample.labels}).second) return Invalid("sample given twice", line);
    family->second.samples.push_back(std::move(sample));
    return absl::OkStatus();
  }

  ParsedPage page_;
  std::string family_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen_;
};

}  // namespace

double ParsedPage::Value(const std::string& name, const std::map<std::string, std::string>& labels) const {
  for (const auto& [family_name, family] : families) {
    for (const Sample& sample : family.samples) {
      if (sample.name == name && sample.labels == labels) return sample.value;
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

int ParsedPage::CountWith(const std::string& label, const std::string& value) const {
  int count = 0;
  for (const auto& [name, family] : families) {
    for (const Sample& sample : family.samples) {
      const auto found = sample.labels.find(label);
      count += found != sample.labels.end() && found->second == value;
    }
  }
  return count;
}

absl::StatusOr<ParsedPage> ParsePage(absl::string_view text) {
  if (!absl::ConsumeSuffix(&text, "\n")) return absl::InvalidArgumentError("the page does not end with a line feed");
  Parser parser;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) EVENKEEL_RETURN_IF_ERROR(parser.Line(line));
  return parser.Finish();
}

}  // namespace evenkeel::telemetry
