#include "tests/gpu_check/flags.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace evenkeel::gpu_check {

const char kHelp[] = R"(gpu_check: Evenkeel's GPU kernels, proved and measured on this machine.

usage: gpu_check [flags]

  --tests         only the tests: routing forwards and backwards and the balance update, held against the plain
                  implementations of the CPU, bit for bit
  --benchmark     only the benchmark (without either flag: both, and no benchmark where a test has failed)
  --quick         small shapes, few random cases, a short benchmark: for compute-sanitizer
  --json FILE     writes the results to FILE (default: to stdout, at the end)
  --python FILE   a Python with PyTorch for CUDA, which the benchmark measures beside the kernels
  --seconds S     begins no case of the benchmark when it has taken that long (default: no limit); the most important
                  come first
  --gtest_filter=PATTERN, --gtest_list_tests, --gtest_shuffle and all other flags of GoogleTest

Progress goes to stderr. The program needs an NVIDIA GPU and its driver, and nothing else; it runs on the GPU that
CUDA_VISIBLE_DEVICES puts first.

exit code:
  0   all that was asked for is right
  1   a test has failed, or the benchmark could not be run
  2   the command line is wrong, the results cannot be written, or no test matches
  77  there is no GPU here, or the program was built without CUDA

  compute-sanitizer --tool memcheck gpu_check --tests --quick
  compute-sanitizer --tool racecheck gpu_check --tests --quick
)";

namespace {

absl::Status Wrong(const std::string& argument, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(argument, ": ", why));
}

// A flag that takes a value, and how the value is read: false when it is none.
struct ValueFlag {
  std::string name;
  absl::string_view wants;
  bool (*read)(const std::string& value, Flags* flags);
};

const ValueFlag kValueFlags[] = {
    {"--json", "wants the name of a file",
     [](const std::string& value, Flags* flags) { return !(flags->json = value).empty(); }},
    {"--python", "wants a program",
     [](const std::string& value, Flags* flags) { return !(flags->python = value).empty(); }},
    {"--seconds", "wants a number of seconds, at least 0",
     [](const std::string& value, Flags* flags) {
       return absl::SimpleAtod(value, &flags->seconds) && flags->seconds >= 0;
     }},
};

// The flag that `argument` is, alone (`--name value`) or with its value (`--name=value`); null: none that takes one.
const ValueFlag* FindValueFlag(const std::string& argument) {
  for (const ValueFlag& flag : kValueFlags) {
    if (argument == flag.name || absl::StartsWith(argument, flag.name + "=")) return &flag;
  }
  return nullptr;
}

bool SetSwitch(const std::string& argument, Flags* flags) {
  if (argument == "--help" || argument == "-h") return flags->help = true;
  if (argument == "--tests") return flags->tests = true;
  if (argument == "--benchmark") return flags->benchmark = true;
  return argument == "--quick" && (flags->quick = true);
}

}  // namespace

absl::StatusOr<Flags> ParseFlags(const std::vector<std::string>& arguments) {
  Flags flags;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (SetSwitch(argument, &flags)) continue;
    const ValueFlag* flag = FindValueFlag(argument);
    if (flag == nullptr) return Wrong(argument, "is no flag of gpu_check; --help names them");
    const bool joined = argument.size() > flag->name.size();
    if (!joined && i + 1 == arguments.size()) return Wrong(argument, flag->wants);
    const std::string value = joined ? argument.substr(flag->name.size() + 1) : arguments[++i];
    if (!flag->read(value, &flags)) return Wrong(argument, flag->wants);
  }
  if (!flags.tests && !flags.benchmark) flags.tests = flags.benchmark = true;
  return flags;
}

}  // namespace evenkeel::gpu_check
