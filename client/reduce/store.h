#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/link/credentials.h"
#include "client/reduce/rendezvous.h"

namespace evenkeel::client {

// The rendezvous at `store`, which is the same on all ranks of a group:
//
//   file:///shared/folder   a folder that is there, on a file system that all ranks share
//   tcp://host:port         the group's first rank, which serves there for as long as the object lives
//   host:port               a coordinator
//
// `incarnation` is random, one process's life; `credentials` are shown to a coordinator. INVALID_ARGUMENT where `store`
// is none of these; UNAVAILABLE where the first rank cannot listen there; errors of CheckCredentials.
absl::StatusOr<std::unique_ptr<Rendezvous>> MakeRendezvous(const std::string& store, const GroupPlace& place,
                                                           uint64_t incarnation, const Credentials& credentials = {});

// The host that a store names; "" for a folder.
std::string HostOf(const std::string& store);

}  // namespace evenkeel::client
