#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace evenkeel::tools {

// One flag of a subcommand and where its value goes. On the command line it is --name VALUE or --name=VALUE; a bool is
// a bare --name; a list has --name as often as it has values.
struct Flag {
  absl::string_view name;  // without the dashes
  std::variant<bool*, std::string*, std::optional<int>*, double*, std::optional<double>*, std::vector<std::string>*>
      value;
  bool is_required = false;
};

// Sets the values of the flags that `args` has, and leaves the others. INVALID_ARGUMENT, naming flag and value, for an
// unknown, repeated, incomplete or empty flag, a value of the wrong type, a word that is no flag, and a required flag
// that is not there; values may then have changed.
absl::Status ParseFlags(absl::Span<const std::string> args, absl::Span<const Flag> flags);

}  // namespace evenkeel::tools
