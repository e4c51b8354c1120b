#include "server/telemetry/rpc_calls.h"

namespace evenkeel::telemetry {
namespace {

// Upper bounds in seconds: a call of core takes well below a millisecond, and then the disk is waited for.
const prometheus::Histogram::BucketBoundaries kCallBuckets = {.001, .005, .025, .1, .5, 2.5};

}  // namespace

void RpcCalls::Count(absl::string_view method, absl::StatusCode code, std::optional<double> seconds) {
  MutexLock lock(&mutex_);
  auto found = methods_.find(method);
  if (found == methods_.end()) found = methods_.emplace(std::string(method), Method()).first;
  ++found->second.calls[code];
  if (!seconds.has_value()) return;
  if (found->second.seconds == nullptr) found->second.seconds = std::make_unique<prometheus::Histogram>(kCallBuckets);
  found->second.seconds->Observe(*seconds);
}

void RpcCalls::Describe(ProcessSample* sample) const {
  MutexLock lock(&mutex_);
  for (const auto& [name, method] : methods_) {
    for (const auto& [code, count] : method.calls) sample->calls[{name, absl::StatusCodeToString(code)}] = count;
    if (method.seconds != nullptr) sample->call_seconds[name] = method.seconds->Collect();
  }
}

}  // namespace evenkeel::telemetry
