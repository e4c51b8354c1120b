#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace evenkeel {

// Between absl::Status with an ErrorDetail and what gRPC carries: code, message, and the detail inside a
// google.rpc.Status in grpc-status-details-bin. Each is the other's inverse, but for messages beyond 1 KiB, which are
// cut.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace evenkeel
