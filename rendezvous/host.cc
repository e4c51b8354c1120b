#include "rendezvous/host.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/grpc_status.h"
#include "base/keepalive.h"
#include "base/request_check.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "grpcpp/server_builder.h"
#include "rendezvous/serve.h"
#include "rendezvous/table.h"

namespace evenkeel::rendezvous {
namespace {

constexpr auto kShutdownGrace = std::chrono::seconds(1);

}  // namespace

class Host::Service final : public v1::BiasCoordinator::CallbackService {
 public:
  grpc::ServerUnaryReactor* Rendezvous(grpc::CallbackServerContext* context, const v1::RendezvousRequest* request,
                                       v1::RendezvousResponse* response) override {
    const absl::Status status = CheckRequest(*context, *request);
    if (status.ok()) return Serve(context, *request, response, table_);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }

  void Stop() { table_->Stop(); }

 private:
  const std::shared_ptr<Table> table_ = std::make_shared<Table>();
};

Host::Host() : service_(std::make_unique<Service>()) {}

Host::~Host() {
  if (server_ == nullptr) return;
  service_->Stop();
  server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
}

absl::StatusOr<std::unique_ptr<Host>> Host::Start(const std::string& address) {
  std::unique_ptr<Host> host(new Host);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(host->service_.get());
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kServerMinPingMs);
  host->server_ = builder.BuildAndStart();
  if (host->server_ == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", address, "; is the address taken (each group needs its own), or not this machine's?"));
  }
  host->address_ = absl::StrCat(absl::string_view(address).substr(0, address.rfind(':')), ":", port);
  return host;
}

}  // namespace evenkeel::rendezvous
