#pragma once

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"

namespace evenkeel {

// What every request must satisfy before anything else looks at it.
//   INVALID_ARGUMENT  DEADLINE_REQUIRED: the call has no deadline, and could be parked for ever
//                     INVALID_FIELD: the message, at any depth, has a field that this build does not know; the number
//                     of the field and the message it is in are named
absl::Status CheckRequest(const grpc::ServerContextBase& context, const google::protobuf::Message& request);

}  // namespace evenkeel
