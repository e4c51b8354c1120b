#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/routing/route.h"
#include "tests/benchmarks/line_child.h"

namespace evenkeel::benchmarks {

// tests/peers/eager_router.py.
extern const char kEagerRouterScript[];

// Eager PyTorch on the GPU, in a child process that runs eager_router.py, which says what the requests mean. It is idle
// while it is not asked. One thread at a time may call it.
class EagerGpuPeer {
 public:
  struct Times {
    double route_seconds = 0;  // of one call of the router
    double count_seconds = 0;  // and of counting its ids by bincount
    double graph_seconds = 0;  // of both in a CUDA graph; 0 where that could not be
    std::string graph_error;   // why not
  };

  // Runs the text of a script with a Python that has PyTorch. UNAVAILABLE when it did not start or sees no GPU; why, is
  // in the message or on stderr.
  static absl::StatusOr<std::unique_ptr<EagerGpuPeer>> Start(const std::string& python, const std::string& script);

  // What runs there, such as "PyTorch 2.13.0 on NVIDIA H200".
  const std::string& name() const { return name_; }

  // Calls the router for `seconds` in either way. INVALID_ARGUMENT for what no model code there routes or holds in
  // memory; UNAVAILABLE when the child is gone.
  absl::StatusOr<Times> Measure(const routing::RouteSpec& spec, routing::DType dtype, int64_t rows, double seconds);

 private:
  explicit EagerGpuPeer(std::unique_ptr<LineChild> child);

  // One JSON object there and one back.
  absl::StatusOr<std::string> Ask(const std::string& request);

  const std::unique_ptr<LineChild> child_;
  std::string name_;
};

}  // namespace evenkeel::benchmarks
