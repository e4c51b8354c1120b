#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/reduce/reducer.h"
#include "client/reduce/rendezvous.h"

namespace evenkeel::client {

struct GlooOptions {
  int rank = 0;
  int size = 1;
  // How long a rank waits for another: for all to meet, then for all to connect, and for each message of a call.
  std::chrono::milliseconds timeout{600'000};
  // Where this rank is reached: local_address.h has the words. `toward` is the host of the store that the group meets
  // at.
  std::string interface;
  std::string toward;
};

// Ranks that reduce in host memory, over TCP: each holds a connection to every other. Connections are neither encrypted
// nor authenticated: for networks that only the job's machines share.
//
// Connects all ranks of the group, which find each other at `rendezvous` (not used afterwards, and not at all where
// size is 1). Errors as of Reducer, Rendezvous::Exchange and LocalAddress; INVALID_ARGUMENT also for a rank outside of
// 0 .. size - 1 and for a timeout below 1 ms.
//
// Ranks that call with different sizes, or in different orders, do not understand each other: DEADLINE_EXCEEDED on at
// least one of them, and never a wrong sum. A rank that ends in the middle of a message is noticed by the one that
// receives it no sooner than `timeout`; otherwise at once.
absl::StatusOr<std::unique_ptr<Reducer>> MakeGlooReducer(const GlooOptions& options, Rendezvous* rendezvous);

}  // namespace evenkeel::client
