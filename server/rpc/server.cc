#include "server/rpc/server.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"

namespace evenkeel::rpc {
namespace {

constexpr auto kShutdownGrace = std::chrono::seconds(1);
// Clients ping every 20 s (client/link); a server that allows less often than its clients ping cuts them off.
constexpr int kMinPingIntervalMs = 5'000;
constexpr int kKeepaliveTimeMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

// `listen` with the port that was bound in place of its own.
std::string BoundAddress(absl::string_view listen, int port) {
  return absl::StrCat(listen.substr(0, listen.rfind(':')), ":", port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const v1::CoordinatorConfig& config, engine::Engine* engine) {
  grpc::EnableDefaultHealthCheckService(true);
  std::unique_ptr<Server> server(new Server(engine));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(config.listen(), grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&server->service_);
  // Without this a second coordinator would start on the same port, and the kernel would deal the workers out to both.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.SetMaxReceiveMessageSize(config.limits().max_message_bytes());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", config.listen(), "; is the address taken, or not this machine's?"));
  }
  server->address_ = BoundAddress(config.listen(), port);
  server->server_->GetHealthCheckService()->SetServingStatus(v1::BiasCoordinator::service_full_name(), true);
  return server;
}

Server::~Server() { Shutdown(); }

void Server::Drain() {
  server_->GetHealthCheckService()->SetServingStatus(false);
  service_.DrainRendezvous();
}

void Server::Shutdown() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  server_.reset();
}

}  // namespace evenkeel::rpc
