#pragma once

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// What a subcommand of the program `evenkeel` is, and how its arguments reach it.
namespace evenkeel::tools {

using Args = absl::Span<const std::string>;

// Results go to `out`, one-line errors to `err`.
struct Streams {
  std::ostream& out;
  std::ostream& err;
};

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // the work could not be done
inline constexpr int kExitUsage = 2;   // the command line is wrong

struct Command {
  absl::string_view name;
  absl::string_view summary;  // one line
  absl::string_view help;     // the whole page, with an example
  // The exit code. `args` begin after the subcommand's name and have no --help.
  int (*run)(Args args, Streams streams);
};

// The exit code of work that ended with `status`; an error goes to `err` as one line, "evenkeel NAME: message".
int Finish(absl::string_view name, const absl::Status& status, std::ostream& err);

// Reports a wrong command line, with a hint, and answers kExitUsage.
int RefuseUsage(absl::string_view name, const absl::Status& status, std::ostream& err);

// The whole program: runs the command that args[0] names, with the arguments after it. --help (or help) shows what
// there is, NAME --help (or help NAME) a command's page.
int RunProgram(absl::Span<const Command* const> commands, Args args, Streams streams);

}  // namespace evenkeel::tools
