#include "tests/gpu_check/program.h"

// With a benchmark that measures nothing, and fails when it should measure PyTorch.
int main(int argc, char** argv) {
  namespace gpu_check = evenkeel::gpu_check;
  return gpu_check::RunProgram(argc, argv, [](const gpu_check::Flags& flags, std::vector<std::string>* records) {
    records->push_back(R"({"what": "nothing"})");
    return flags.python.empty() ? absl::OkStatus() : absl::InternalError("no " + flags.python);
  });
}
