#pragma once

#include <vector>

#include "server/engine/engine.h"
#include "server/http/route.h"
#include "server/security/gate.h"

namespace evenkeel::dashboard {

// The JSON API under /api/v1, read-only; doc/api.md is its contract. Behind the same gate as the gRPC API, with the
// token of "Authorization: Bearer". The handlers wait for the engine, in no more threads than leave some of the
// server's to other routes. Both must outlive what serves the routes; the engine may be drained, and not stopped,
// before it.
std::vector<http::Route> ApiRoutes(engine::Engine* engine, security::Gate* gate);

}  // namespace evenkeel::dashboard
