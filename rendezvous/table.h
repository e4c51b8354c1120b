#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "rendezvous/memory.h"

namespace evenkeel::rendezvous {

// What a table holds at most, in bytes of values, names and bookkeeping.
struct Limits {
  // The calls of one exchange.
  size_t exchange = size_t{64} << 20;
  // All calls that wait.
  size_t waiting = size_t{256} << 20;
  // Complete exchanges, remembered for calls that are repeated.
  size_t complete = size_t{64} << 20;
};

// Where the ranks of groups find each other: an exchange, named by job, group and key, gives every rank the values of
// all, once all have called.
//
// A value counts while its call waits; a call that was cut off is made again by whoever is still there. A complete
// exchange is remembered, so that who lost its answer gets it by the same call again. A rank that comes with another
// value than its own of then (a process that started again) begins the exchange anew, and all its ranks must call
// again.
//
// Thread-safe. Knows no clock and no transport: whoever calls, cancels calls and lets them expire. No method blocks.
// `done` is called once for each call, by the method that decides about it, on that method's thread.
class Table {
 public:
  using CallId = uint64_t;
  using Done = std::function<void(absl::StatusOr<Answer>)>;

  explicit Table(const Limits& limits = {}) : limits_(limits), complete_(limits.complete) {}

  // A rank gives its value. It is answered with the values of all ranks, when the last has given its own, or with
  //   INVALID_ARGUMENT    INVALID_FIELD: job, group or key is empty or over 256 bytes; size is not in 1 .. 65,536, or
  //                       not that of the calls which wait; rank is not in 0 .. size - 1; value is over 1 MiB
  //   ALREADY_EXISTS      REPLACED: a newer call of the same rank took its place
  //   RESOURCE_EXHAUSTED  LIMIT_EXCEEDED: one of the limits
  //   UNAVAILABLE         SHUTTING_DOWN: after Stop
  // Returns the name by which Cancel and Expire know the call.
  CallId Call(const v1::RendezvousRequest& request, Done done);

  // Withdraws a call that still waits: CANCELLED.
  void Cancel(CallId call);
  // Likewise: DEADLINE_EXCEEDED, RANKS_MISSING; the message names the ranks that did not call.
  void Expire(CallId call);

  // Answers all calls that wait, and all that come later, with UNAVAILABLE, SHUTTING_DOWN.
  void Stop();

 private:
  struct Waiting {
    CallId call = 0;
    std::string value;
    Done done;
  };
  // The calls of an exchange that is not complete; there is at least one.
  struct Round {
    int size = 0;
    size_t bytes = 0;
    std::map<int, Waiting> waiting;  // by rank
  };
  using Rounds = std::map<std::string, Round>;
  struct Place {
    Rounds::iterator round;
    int rank;
  };
  // What is to be said once the mutex is free.
  using Answers = std::vector<std::function<void()>>;

  absl::Status Enter(const v1::RendezvousRequest& request, CallId call, Done* done, Answers* answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static size_t CallBytes(const std::string& name, const std::string& value);
  absl::Status Admit(const std::string& name, size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Complete(Rounds::iterator round, Answers* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the call of a rank out of its round, and the round out of the table when it was the last one.
  Waiting TakeOut(Rounds::iterator round, int rank) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Answers a call, if it waits, with what `why` says of its round.
  void Withdraw(CallId call, absl::Status (*why)(const Round&));

  const Limits limits_;
  Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  CallId last_call_ ABSL_GUARDED_BY(mutex_) = 0;
  Rounds rounds_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<CallId, Place> places_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Memory complete_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evenkeel::rendezvous
