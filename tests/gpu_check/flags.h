#pragma once

#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace evenkeel::gpu_check {

// What the command line says; kHelp explains each. Without --tests and --benchmark both are wanted.
struct Flags {
  bool help = false;
  bool tests = false;
  bool benchmark = false;
  bool quick = false;
  std::string json;  // empty: stdout
  std::string python;
  double seconds = std::numeric_limits<double>::infinity();  // of the benchmark
};

extern const char kHelp[];

// Reads what GoogleTest has left. INVALID_ARGUMENT, naming it, for what is unknown or wants a value.
absl::StatusOr<Flags> ParseFlags(const std::vector<std::string>& arguments);

}  // namespace evenkeel::gpu_check
