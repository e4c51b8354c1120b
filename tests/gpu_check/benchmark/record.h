#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace evenkeel::benchmarks {

// What was measured, as named fields in the order in which they were added; names are distinct. Copyable.
class Record {
 public:
  // `what` is the first field, "what": the kind of thing that was measured.
  explicit Record(absl::string_view what);

  Record& AddText(absl::string_view name, absl::string_view text);
  Record& AddCount(absl::string_view name, int64_t count);
  // Six digits; null when it is not finite.
  Record& AddNumber(absl::string_view name, double number);

  // A flat JSON object in one line.
  std::string Json() const;

  // The fields that the table has columns for, "-" for those that are not there. What was added as "skipped" follows.
  std::string TableRow() const;

 private:
  struct Field {
    std::string name;
    std::string text;
    bool quoted;
  };

  std::vector<Field> fields_;
};

// The titles over TableRow().
std::string TableHeader();

// Takes records: keeps their JSON and prints their rows on stderr, under a header. One thread at a time.
class Report {
 public:
  // `json` must outlive this.
  explicit Report(std::vector<std::string>* json) : json_(json) {}

  void Add(const Record& record);

 private:
  std::vector<std::string>* const json_;
  bool headed_ = false;
};

}  // namespace evenkeel::benchmarks
