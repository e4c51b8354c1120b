#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "prometheus/histogram.h"
#include "server/telemetry/process_sample.h"

namespace evenkeel::telemetry {

// Calls of the service, by method and by what they were answered with. Thread-safe.
class RpcCalls {
 public:
  // `method` must be one of a few words. `seconds` is absent for calls that wait for others.
  void Count(absl::string_view method, absl::StatusCode code, std::optional<double> seconds);

  void Describe(ProcessSample* sample) const;

 private:
  struct Method {
    std::map<absl::StatusCode, uint64_t> calls;
    // Null before the first call.
    std::unique_ptr<prometheus::Histogram> seconds;
  };

  mutable Mutex mutex_;
  std::map<std::string, Method, std::less<>> methods_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evenkeel::telemetry
