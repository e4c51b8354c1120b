#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/reduce/coordinator_rendezvous.h"
#include "client/reduce/rendezvous.h"
#include "rendezvous/host.h"

namespace evenkeel::client {

// Meets at the group's first rank, which serves BiasCoordinator.Rendezvous for as long as its object lives: it keeps it
// for as long as ranks of the group may look for each other. For one thread at a time.
class TcpRendezvous final : public Rendezvous {
 public:
  // `address` is host:port, the same on all ranks of the group and no other group's; rank 0 listens there at once.
  // UNAVAILABLE, naming the address, where it cannot.
  static absl::StatusOr<std::unique_ptr<TcpRendezvous>> Create(const std::string& address, const GroupPlace& place,
                                                               uint64_t incarnation);

  absl::StatusOr<std::vector<std::string>> Exchange(const std::string& key, const std::string& value,
                                                    Deadline deadline) override;

 private:
  TcpRendezvous(std::unique_ptr<rendezvous::Host> host, const std::string& address, const GroupPlace& place,
                uint64_t incarnation);

  const std::unique_ptr<rendezvous::Host> host_;  // null on other ranks than the first
  CoordinatorRendezvous meeting_;
};

}  // namespace evenkeel::client
