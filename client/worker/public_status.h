#pragma once

#include "absl/status/status.h"
#include "evenkeel/status.h"

namespace evenkeel::client {

// The same code and message, without Abseil.
inline Status PublicStatus(const absl::Status& status) {
  if (status.ok()) return Status();
  return Status(static_cast<StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace evenkeel::client
