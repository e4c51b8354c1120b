#pragma once

#include <string>

namespace evenkeel::tests {

// What grpc.health.v1.Health/Check at `address` says of `service`: "SERVING", "NOT_SERVING", "UNKNOWN", or the error.
std::string CheckHealth(const std::string& address, const std::string& service);

}  // namespace evenkeel::tests
