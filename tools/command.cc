#include "tools/command.h"

#include <algorithm>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace evenkeel::tools {
namespace {

bool IsHelp(absl::string_view word) { return word == "--help" || word == "-h" || word == "help"; }

std::string Overview(absl::Span<const Command* const> commands) {
  std::string page =
      "evenkeel routes tokens to experts, replays the balancing of a run, looks at a coordinator, and carries biases "
      "to and\n"
      "from other software.\n\n";
  for (const Command* command : commands) {
    absl::StrAppendFormat(&page, "  evenkeel %-15s  %s\n", std::string(command->name), std::string(command->summary));
  }
  absl::StrAppend(&page, "\nEach command explains itself, with an example: evenkeel ", commands[0]->name, " --help\n");
  return page;
}

const Command* Find(absl::Span<const Command* const> commands, absl::string_view name) {
  const auto found =
      std::find_if(commands.begin(), commands.end(), [name](const Command* command) { return command->name == name; });
  return found == commands.end() ? nullptr : *found;
}

int UnknownCommand(absl::Span<const Command* const> commands, absl::string_view name, std::ostream& err) {
  const auto add_name = [](std::string* out, const Command* command) { absl::StrAppend(out, command->name); };
  err << "evenkeel: unknown command \"" << name << "\"; the commands are " << absl::StrJoin(commands, ", ", add_name)
      << "\nTry 'evenkeel --help'.\n";
  return kExitUsage;
}

}  // namespace

int Finish(absl::string_view name, const absl::Status& status, std::ostream& err) {
  if (status.ok()) return kExitOk;
  err << "evenkeel " << name << ": " << absl::StrReplaceAll(status.message(), {{"\n", " "}}) << "\n";
  return kExitFailed;
}

int RefuseUsage(absl::string_view name, const absl::Status& status, std::ostream& err) {
  Finish(name, status, err);
  err << "Try 'evenkeel " << name << " --help'.\n";
  return kExitUsage;
}

int RunProgram(absl::Span<const Command* const> commands, Args args, Streams streams) {
  if (args.empty()) {
    streams.err << Overview(commands);
    return kExitUsage;
  }
  const bool is_help = IsHelp(args[0]);
  if (is_help && args.size() == 1) {
    streams.out << Overview(commands);
    return kExitOk;
  }
  const std::string& name = is_help ? args[1] : args[0];
  const Command* command = Find(commands, name);
  if (command == nullptr) return UnknownCommand(commands, name, streams.err);
  args.remove_prefix(1);
  if (is_help || std::any_of(args.begin(), args.end(), [](const std::string& arg) { return arg == "--help"; })) {
    streams.out << command->help;
    return kExitOk;
  }
  try {
    const int code = command->run(args, streams);
    if (code != kExitOk || streams.out.flush()) return code;
    return Finish(name, absl::DataLossError("the standard output cannot be written"), streams.err);
  } catch (const std::bad_alloc&) {
    return Finish(name, absl::ResourceExhaustedError("not enough memory"), streams.err);
  }
}

}  // namespace evenkeel::tools
