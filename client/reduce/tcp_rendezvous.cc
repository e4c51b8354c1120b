#include "client/reduce/tcp_rendezvous.h"

#include <utility>

#include "absl/memory/memory.h"
#include "base/status_macros.h"

namespace evenkeel::client {

absl::StatusOr<std::unique_ptr<TcpRendezvous>> TcpRendezvous::Create(const std::string& address,
                                                                     const GroupPlace& place, uint64_t incarnation) {
  std::unique_ptr<rendezvous::Host> host;
  if (place.rank == 0) {
    EVENKEEL_ASSIGN_OR_RETURN(host, rendezvous::Host::Start(address));
  }
  return absl::WrapUnique(new TcpRendezvous(std::move(host), address, place, incarnation));
}

TcpRendezvous::TcpRendezvous(std::unique_ptr<rendezvous::Host> host, const std::string& address,
                             const GroupPlace& place, uint64_t incarnation)
    : host_(std::move(host)), meeting_(address, place, incarnation) {}

absl::StatusOr<std::vector<std::string>> TcpRendezvous::Exchange(const std::string& key, const std::string& value,
                                                                 Deadline deadline) {
  return meeting_.Exchange(key, value, deadline);
}

}  // namespace evenkeel::client
