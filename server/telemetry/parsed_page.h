#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace evenkeel::telemetry {

// For tests: a page in the Prometheus text format, read back.
struct ParsedPage {
  struct Sample {
    std::string name;
    std::map<std::string, std::string> labels;  // values as they were before escaping
    double value = 0;
  };
  struct Family {
    std::string type;
    std::string help;
    std::vector<Sample> samples;
  };
  std::map<std::string, Family> families;

  // The value of the one sample with this name and these labels; NaN when there is none.
  double Value(const std::string& name, const std::map<std::string, std::string>& labels) const;
  // Samples that have this label.
  int CountWith(const std::string& label, const std::string& value) const;
};

// Reads `text` line by line, as strictly as https://prometheus.io/docs/instrumenting/exposition_formats is: each family
// once, its HELP and TYPE before its samples, every sample once. INVALID_ARGUMENT with the line.
absl::StatusOr<ParsedPage> ParsePage(absl::string_view text);

}  // namespace evenkeel::telemetry
