#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/grpc_status.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"

// How commands reach a running coordinator.
namespace evenkeel::tools {

// The flags --coordinator and --timeout.
struct CoordinatorOptions {
  std::string address = "127.0.0.1:7411";
  double timeout = 5;  // seconds
};

// INVALID_ARGUMENT, naming the flag, for an address that is not HOST:PORT, and a timeout out of range.
absl::Status CheckCoordinator(const CoordinatorOptions& options);

// One call to one coordinator. `options` outlive it.
class CoordinatorCaller {
 public:
  explicit CoordinatorCaller(const CoordinatorOptions& options);

  // Calls `method` of the stub. Errors say what to do next, where this side knows it.
  template <typename Method, typename Request, typename Response>
  absl::Status Call(Method method, const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::microseconds(static_cast<int64_t>(options_.timeout * 1e6)));
    return Explained(FromGrpcStatus((stub_.get()->*method)(&context, request, response)));
  }

 private:
  absl::Status Explained(const absl::Status& status) const;

  const CoordinatorOptions& options_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
};

}  // namespace evenkeel::tools
