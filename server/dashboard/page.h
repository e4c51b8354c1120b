#pragma once

#include <vector>

#include "server/http/route.h"

namespace evenkeel::dashboard {

// The web page, / and /assets/..., as it was built into the program: it shows what the API tells, and needs no other
// site.
std::vector<http::Route> PageRoutes();

}  // namespace evenkeel::dashboard
