#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/gpu_check/flags.h"

namespace evenkeel::gpu_check {

// Appends JSON objects, one for each case; an error does not take back what was measured before.
using Benchmark = std::function<absl::Status(const Flags& flags, std::vector<std::string>* records)>;

// What `main` does: kHelp in flags.cc says what. Returns the exit code. The device is the one that is linked.
int RunProgram(int argc, char** argv, const Benchmark& benchmark);

}  // namespace evenkeel::gpu_check
