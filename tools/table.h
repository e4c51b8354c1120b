#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace evenkeel::tools {

// Rows of text in aligned columns, for people.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kRight;
  };

  explicit Table(std::vector<Column> columns);

  // As many cells as columns, or the process aborts. What does not print is escaped: names come from other machines.
  void AddRow(std::vector<std::string> cells);

  // The titles and all rows, each line indented by two spaces and without trailing ones.
  std::string Text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace evenkeel::tools
