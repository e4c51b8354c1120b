// What the page shows of the process itself.

#include <cmath>

#include "server/telemetry/page.h"

namespace evenkeel::telemetry {
namespace {

using prometheus::MetricFamily;

constexpr char kVersion[] = "0.1.0";
#if defined(__clang__)
constexpr char kCompiler[] = "clang " __clang_version__;
#else
constexpr char kCompiler[] = "gcc " __VERSION__;
#endif

MetricFamily BuildInfo() {
  MetricFamily family = Gauge("evenkeel_build_info", "The program itself; always 1.");
  family.metric.push_back(Value(1, {{"version", kVersion}, {"compiler", kCompiler}}));
  return family;
}

MetricFamily CallFamily(const ProcessSample& process) {
  MetricFamily family =
      Counter("evenkeel_rpc_calls_total", "Calls that were answered, by what they were answered with.");
  for (const auto& [call, count] : process.calls) {
    family.metric.push_back(Value(static_cast<double>(count), {{"method", call.first}, {"code", call.second}}));
  }
  return family;
}

MetricFamily CallSecondsFamily(const ProcessSample& process) {
  MetricFamily family{"evenkeel_rpc_seconds",
                      "From the arrival of a call to its answer; not of those that wait for others.",
                      prometheus::MetricType::Histogram,
                      {}};
  for (const auto& [method, histogram] : process.call_seconds) {
    family.metric.push_back(histogram);
    family.metric.back().label = {{"method", method}};
  }
  return family;
}

}  // namespace

void AddProcessFamilies(const ProcessSample& process, Families* page) {
  page->push_back(BuildInfo());
  const auto add = [page](MetricFamily family, double value) {
    if (!std::isnan(value)) family.metric.push_back(Value(value, {}));
    page->push_back(std::move(family));
  };
  add(Gauge("process_resident_memory_bytes", "Memory of the process that is in RAM."), process.figures.resident_bytes);
  add(Counter("process_cpu_seconds_total", "Processor time of the process."), process.figures.cpu_seconds);
  add(Gauge("process_open_fds", "Open file descriptors."), process.figures.open_files);
  add(Gauge("process_start_time_seconds", "When the process was started, since 1970."),
      process.figures.start_time_seconds);
  add(Gauge("evenkeel_connections", "Open connections of the gRPC service."), process.connections);
  add(Gauge("evenkeel_store_bytes", "Bytes of the files of the state."), process.store_bytes);
  add(Counter("evenkeel_store_failures_total", "Times that the state could not be read or written."),
      static_cast<double>(process.store_failures));
  page->push_back(CallFamily(process));
  page->push_back(CallSecondsFamily(process));
}

}  // namespace evenkeel::telemetry
