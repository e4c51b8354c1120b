#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "evenkeel/v1/coordinator_config.pb.h"
#include "grpcpp/server.h"
#include "server/engine/engine.h"
#include "server/rpc/service.h"

namespace evenkeel::rpc {

// The gRPC server of a coordinator: the service, and grpc.health.v1.
class Server {
 public:
  // Listens on config.listen, without sharing the port. UNAVAILABLE, naming the address, when that fails.
  // `engine` outlives the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const v1::CoordinatorConfig& config, engine::Engine* engine);

  // Shuts down as Shutdown does.
  ~Server();

  // host:port as bound.
  const std::string& address() const { return address_; }

  // Reports NOT_SERVING, and ends every Rendezvous; other calls that come in from now on are answered by a stopping
  // engine.
  void Drain();
  // Ends: calls that are still open after a second are cut.
  void Shutdown();

 private:
  explicit Server(engine::Engine* engine) : service_(engine) {}

  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace evenkeel::rpc
