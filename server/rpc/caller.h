#pragma once

#include "absl/strings/string_view.h"
#include "grpcpp/server_context.h"
#include "server/security/gate.h"

namespace evenkeel::rpc {

// What the call shows of its caller: the token of its "authorization: Bearer" header, the names of its certificate, and
// whether it came encrypted or from this machine.
security::Caller CallerOf(const grpc::ServerContextBase& context);

// Whether gRPC's name of a peer is one on this machine.
bool IsLocalPeer(absl::string_view peer);

}  // namespace evenkeel::rpc
