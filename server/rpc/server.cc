#include "server/rpc/server.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdint>
#include <utility>

#include "base/keepalive.h"
#include "base/status_macros.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "server/rpc/admin_server.h"

namespace evenkeel::rpc {
namespace {

constexpr auto kShutdownGrace = std::chrono::seconds(1);
// Longer than a client lets a push wait before it repeats it (client/link).
constexpr int kAgeGraceMs = 60'000;

int Milliseconds(int seconds) { return static_cast<int>(std::min<int64_t>(int64_t{seconds} * 1000, INT_MAX)); }

void SetArguments(const v1::Limits& limits, grpc::ServerBuilder* builder) {
  const auto set = [builder](const char* name, int value) { builder->AddChannelArgument(name, value); };
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kServerMinPingMs);
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // A peer that is silent for so long is gone.
  const int silence_ms = Milliseconds(limits.max_silence_seconds());
  set(GRPC_ARG_KEEPALIVE_TIME_MS, silence_ms / 4 * 3);
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, silence_ms / 4);
  // One that does not finish its handshakes is none, one that calls nothing for so long may come again, and all come
  // again now and then, with a certificate that is good then.
  set(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  set(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 15 * 60'000);
  set(GRPC_ARG_MAX_CONNECTION_AGE_MS, Milliseconds(limits.max_connection_age_seconds()));
  set(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, kAgeGraceMs);
  // A contributor has a call or two at a time; a program may stand for all of a job over one connection.
  set(GRPC_ARG_MAX_CONCURRENT_STREAMS, std::min(limits.max_contributors(), 1 << 20) + 16);
  set(GRPC_ARG_MAX_METADATA_SIZE, 8 * 1024);
  builder->SetMaxReceiveMessageSize(limits.max_message_bytes());
  grpc::ResourceQuota quota("connections");
  quota.Resize(limits.max_buffer_bytes());
  builder->SetResourceQuota(quota);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const v1::CoordinatorConfig& config, engine::Engine* engine,
                                                      const Security& security, telemetry::Metrics* metrics) {
  grpc::EnableDefaultHealthCheckService(true);
  std::unique_ptr<Server> server(new Server(engine, security.gate, metrics));
  const int max_connections = ConnectionLimit(config.limits().max_connections());
  EVENKEEL_ASSIGN_OR_RETURN(server->listener_, Listener::Open(config.listen(), max_connections, security.log));
  grpc::ServerBuilder builder;
  std::unique_ptr<Listener::Acceptor> acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      security.credentials != nullptr ? security.credentials : grpc::InsecureServerCredentials());
  builder.RegisterService(&server->service_);
  SetArguments(config.limits(), &builder);
  WithoutAdministration(&builder);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return absl::UnavailableError("the gRPC server does not start");
  server->server_->GetHealthCheckService()->SetServingStatus(v1::BiasCoordinator::service_full_name(), true);
  server->listener_->Start(std::move(acceptor));
  metrics->SetConnections([listener = server->listener_.get()] { return listener->CountOpen(); });
  return server;
}

Server::~Server() { Shutdown(); }

void Server::Drain() {
  server_->GetHealthCheckService()->SetServingStatus(false);
  service_.DrainRendezvous();
}

void Server::Shutdown() {
  if (server_ == nullptr) return;
  metrics_->SetConnections(nullptr);
  listener_->Stop();
  server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  server_.reset();
}

}  // namespace evenkeel::rpc
