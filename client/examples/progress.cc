#include "client/examples/progress.h"

#include <cinttypes>
#include <cstdio>
#include <numeric>

namespace text_worker {
namespace {

double Mean(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

void Progress::Begin(uint64_t step) const {
  if (!json_) return;
  std::printf("{\"event\":\"begin\",\"step\":%" PRIu64 "}\n", step);
  std::fflush(stdout);
}

void Progress::Commit(uint64_t step) const {
  if (!json_) return;
  std::printf("{\"event\":\"commit\",\"step\":%" PRIu64 "}\n", step);
  std::fflush(stdout);
}

void Progress::Step(const evenkeel::StepReport& report, double commit_seconds) const {
  const double mean = Mean(report.max_violation);
  if (json_) {
    std::printf("{\"event\":\"step\",\"step\":%" PRIu64 ",\"epoch\":%" PRIu64
                ",\"ok\":%s,\"max_violation\":%.9g,\"layer_max_violation\":[",
                report.step, report.epoch, report.ok ? "true" : "false", mean);
    const char* separator = "";
    for (const float violation : report.max_violation) {
      std::printf("%s%.9g", separator, violation);
      separator = ",";
    }
    std::printf("],\"tokens\":%" PRIu64 ",\"bias_hash\":\"%016" PRIx64 "\",\"commit_seconds\":%.6f}\n", report.tokens,
                report.bias_hash, commit_seconds);
  } else {
    std::printf("step %" PRIu64 ": max violation %.3f, %" PRIu64 " tokens, committed in %.1f ms\n", report.step, mean,
                report.tokens, 1000 * commit_seconds);
  }
  std::fflush(stdout);
}

void Progress::Done(const evenkeel::StepReport& report) const {
  std::printf(json_ ? "{\"event\":\"done\",\"steps\":%" PRIu64 ",\"bias_hash\":\"%016" PRIx64 "\"}\n"
                    : "done after step %" PRIu64 ", bias %016" PRIx64 "\n",
              report.step, report.bias_hash);
  std::fflush(stdout);
}

}  // namespace text_worker
