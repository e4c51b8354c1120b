#pragma once

#include <functional>
#include <vector>

#include "server/http/route.h"

namespace evenkeel::http {

// For what watches over the process: /healthz, which answers "ok" while it serves, and /readyz, which answers "ready"
// while `is_ready` says so, else 503. `is_ready` is called from any thread.
std::vector<Route> HealthRoutes(std::function<bool()> is_ready);

}  // namespace evenkeel::http
