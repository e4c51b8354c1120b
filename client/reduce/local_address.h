#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace evenkeel::client {

// The address, as a number ("10.0.0.7"), at which other ranks are to reach this process:
//   `interface`   if not "": the name of a network interface ("eth0"), or a host name or address of this machine
//   `toward`      else, if not "": the address that this machine uses toward that host, so loopback toward loopback
//   else          that of the machine's host name; loopback where it has none
// INVALID_ARGUMENT, naming interface, where it is none of this machine's; UNAVAILABLE where `toward` cannot be resolved
// or reached.
absl::StatusOr<std::string> LocalAddress(const std::string& interface, const std::string& toward);

}  // namespace evenkeel::client
