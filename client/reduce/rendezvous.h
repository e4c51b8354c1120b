#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/deadline.h"

namespace evenkeel::client {

// How the ranks of a group find each other before they can talk: each brings a value, and gets those of all.
class Rendezvous {
 public:
  virtual ~Rendezvous() = default;

  // Gives `value` for this rank under `key`, and waits until every rank of the group has given one: theirs, in rank
  // order. Keys are used in the same order by all ranks. A value must tell this process's life from an earlier one's
  // (it holds a random number, say): what an earlier life left behind is not taken for an answer, and calls may be
  // repeated.
  //   DEADLINE_EXCEEDED  `deadline` came first; the message names the ranks that are missing, three at most
  //   INVALID_ARGUMENT   the value is larger than kMaxRendezvousValue
  //   anything else      the store failed; the message says which and how
  virtual absl::StatusOr<std::vector<std::string>> Exchange(const std::string& key, const std::string& value,
                                                            Deadline deadline) = 0;
};

inline constexpr size_t kMaxRendezvousValue = 1 << 20;  // bytes

// The INVALID_ARGUMENT of Exchange, or OK.
absl::Status CheckRendezvousValue(const std::string& value);

// Which rank of which group: what a Rendezvous is made for.
struct GroupPlace {
  std::string job;
  std::string group;  // its name: the same on its ranks, another on those of other groups
  int rank = 0;       // within the group
  int size = 1;
};

// What every reducer asks of its options. INVALID_ARGUMENT, naming field and value, for a rank outside of 0 .. size - 1
// and for a timeout below 1 ms.
absl::Status CheckMembership(int rank, int size, std::chrono::milliseconds timeout);

}  // namespace evenkeel::client
