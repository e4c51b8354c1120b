#pragma once

#include "absl/status/status.h"
#include "server/http/route.h"

namespace evenkeel::dashboard {

inline constexpr char kJson[] = "application/json";

// An error of the service as HTTP: the status that fits its code, and {"code", "reason", "message"} as JSON, the names
// of the code and of ErrorDetail.Reason in capitals. `status` is not OK.
http::Response ErrorResponse(const absl::Status& status);

}  // namespace evenkeel::dashboard
