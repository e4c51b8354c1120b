#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/link/backoff.h"
#include "client/link/connection.h"
#include "client/reduce/rendezvous.h"

namespace evenkeel::client {

struct CoordinatorRendezvousOptions {
  // How long one attempt waits for the other ranks, before it is made again.
  std::chrono::milliseconds attempt_timeout{30'000};
  BackoffOptions backoff;
  Credentials credentials = {};
};

// Meets at BiasCoordinator.Rendezvous, over a connection of its own: through lost answers, silence and restarts, until
// the deadline. For one thread at a time.
class CoordinatorRendezvous final : public Rendezvous {
 public:
  // At `coordinator` (host:port). Connects with the first exchange. `incarnation` spreads the attempts of different
  // processes.
  CoordinatorRendezvous(std::string coordinator, GroupPlace place, uint64_t incarnation,
                        const CoordinatorRendezvousOptions& options = {});

  // Also ALREADY_EXISTS, where another process calls as this rank.
  absl::StatusOr<std::vector<std::string>> Exchange(const std::string& key, const std::string& value,
                                                    Deadline deadline) override;

 private:
  // `status` with what was attempted, where and by whom.
  absl::Status Explained(absl::StatusCode code, const std::string& key, const absl::Status& status) const;

  const std::string coordinator_;
  const GroupPlace place_;
  const uint64_t incarnation_;
  const CoordinatorRendezvousOptions options_;
  Connection connection_;
};

}  // namespace evenkeel::client
