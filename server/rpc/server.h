#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/log_event.h"
#include "evenkeel/v1/coordinator_config.pb.h"
#include "grpcpp/server.h"
#include "server/engine/engine.h"
#include "server/rpc/listener.h"
#include "server/rpc/service.h"
#include "server/security/gate.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::rpc {

// The gRPC server of a coordinator: the service, and grpc.health.v1.
class Server {
 public:
  // What keeps strangers out. `gate` outlives the server; `log` may come from any thread.
  struct Security {
    security::Gate* gate;
    // Null: connections are not encrypted.
    std::shared_ptr<grpc::ServerCredentials> credentials;
    LogSink log;
  };

  // Listens on config.listen, without sharing the port. UNAVAILABLE, naming the address, when that fails.
  // `engine` and `metrics` outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const v1::CoordinatorConfig& config, engine::Engine* engine,
                                                       const Security& security, telemetry::Metrics* metrics);

  // Shuts down as Shutdown does.
  ~Server();

  // host:port as bound.
  const std::string& address() const { return listener_->address(); }

  // Reports NOT_SERVING, and ends every Rendezvous; other calls that come in from now on are answered by a stopping
  // engine.
  void Drain();
  // Ends: calls that are still open after a second are cut.
  void Shutdown();

 private:
  Server(engine::Engine* engine, security::Gate* gate, telemetry::Metrics* metrics)
      : metrics_(metrics), service_(engine, gate, metrics) {}

  telemetry::Metrics* const metrics_;
  Service service_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace evenkeel::rpc
