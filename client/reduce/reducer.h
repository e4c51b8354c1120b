#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/reduce/rendezvous.h"

namespace evenkeel::client {

// The ranks of a group as one: what each calls, all call, in the same order and with the same sizes. Rank 0 is the
// leader. For one thread at a time, but for Abort.
//
// Every call is bounded: where a rank has ended, or does not call, the others get an error within the time that the
// reducer was made with, and so does every later call.
//   UNAVAILABLE        a rank has ended, or its connection has
//   DEADLINE_EXCEEDED  a rank did not call in time
class Reducer {
 public:
  virtual ~Reducer() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Adds up over the ranks, element by element, modulo 2^64: afterwards every rank has the sums.
  virtual absl::Status Sum(absl::Span<uint64_t> values) = 0;

  // Gives every rank the leader's bytes.
  virtual absl::Status Broadcast(absl::Span<char> bytes) = 0;

  // Ends the call in progress, and every later one, with CANCELLED; the other ranks see a rank that has ended. From any
  // thread.
  virtual void Abort() = 0;
};

}  // namespace evenkeel::client
