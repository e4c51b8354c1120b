#include "client/benchmark/step_case.h"

#include "absl/strings/str_cat.h"

namespace evenkeel::step_benchmark {

std::vector<uint64_t> CountsOf(const StepCase& step_case) {
  const int half = step_case.experts / 2;
  const uint64_t assignments = step_case.tokens * step_case.top_k;
  std::vector<uint64_t> counts(step_case.experts, assignments * 2 / 3 / half);
  const uint64_t rest = assignments - counts[0] * half;
  for (int e = half; e < step_case.experts; ++e) counts[e] = rest / (step_case.experts - half);
  counts.back() += rest % (step_case.experts - half);
  return counts;
}

WorkerOptions OptionsOf(const StepCase& step_case) {
  WorkerOptions options;
  options.coordinator = "";
  options.job = "step-benchmark";
  options.balance = R"({"preset": "evenkeel"})";
  for (int layer = 0; layer < step_case.layers; ++layer) {
    options.layers.push_back({absl::StrCat("layers.", layer, ".gate"), step_case.experts, step_case.top_k, ""});
  }
  return options;
}

}  // namespace evenkeel::step_benchmark
