#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "rendezvous/table.h"

namespace evenkeel::rendezvous {

// Answers a call of BiasCoordinator.Rendezvous when `table` does. A call that its client cancels is withdrawn; one that
// comes to its deadline, which it must have, expires so early that its client still hears which ranks are missing.
// `response` stays the call's. `told`, where there is one, is called with the answer's status before it is sent.
grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const v1::RendezvousRequest& request,
                                v1::RendezvousResponse* response, std::shared_ptr<Table> table,
                                std::function<void(const absl::Status&)> told = nullptr);

}  // namespace evenkeel::rendezvous
