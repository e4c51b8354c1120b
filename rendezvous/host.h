#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/server.h"

namespace evenkeel::rendezvous {

// A server of BiasCoordinator.Rendezvous, and of nothing else, for ranks that have no coordinator to meet at.
class Host {
 public:
  // Listens on `address` (host:port; port 0 takes a free one), without sharing the port. UNAVAILABLE, naming the
  // address, when that fails.
  static absl::StatusOr<std::unique_ptr<Host>> Start(const std::string& address);

  // Ends: calls that wait are answered with UNAVAILABLE; answers that are on their way arrive.
  ~Host();

  // host:port as bound.
  const std::string& address() const { return address_; }

 private:
  class Service;

  Host();

  const std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace evenkeel::rendezvous
