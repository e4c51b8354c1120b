#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/yaml_document.h"
#include "kernels/routing/route.h"
#include "tests/benchmarks/line_child.h"

namespace evenkeel::benchmarks {

// Eager PyTorch in a child process, tests/peers/eager_router.py, which says what the requests mean. One thread at a
// time may call it. After an error of Prepare or Turn it may be asked again, unless the child is gone (UNAVAILABLE).
class EagerPeer {
 public:
  struct Times {
    double route_seconds = 0;  // of one call of the router
    double count_seconds = 0;  // and of one of counting its ids
  };

  // Starts the script with a Python that has PyTorch. UNAVAILABLE when it did not start or cannot do it; why, is on
  // stderr.
  static absl::StatusOr<std::unique_ptr<EagerPeer>> Start(const std::string& python, const std::string& script,
                                                          int threads);

  // What runs there, such as "PyTorch 2.13.0, 2 threads".
  const std::string& name() const { return name_; }

  // Makes the case that is timed from now on. INVALID_ARGUMENT for a router that no model code is known of there.
  absl::Status Prepare(const routing::RouteSpec& spec, routing::DType dtype, int64_t rows);

  // Calls what was prepared for at least `seconds`, and says what a call took.
  absl::StatusOr<Times> Turn(double seconds);

 private:
  explicit EagerPeer(std::unique_ptr<LineChild> child);

  // One line there and one back, as JSON.
  absl::StatusOr<config::YamlNode> Ask(const std::string& request);

  const std::unique_ptr<LineChild> child_;
  std::string name_;
};

}  // namespace evenkeel::benchmarks
