#include "server/rpc/admin_server.h"

#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "grpcpp/ext/channelz_service_plugin.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/security/server_credentials.h"

namespace evenkeel::rpc {
namespace {

class NoPlugins final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override { plugins->clear(); }
};

}  // namespace

void WithoutAdministration(grpc::ServerBuilder* builder) { builder->SetOption(std::make_unique<NoPlugins>()); }

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& address) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::channelz::experimental::InitChannelzService();
  grpc::EnableDefaultHealthCheckService(true);
  std::unique_ptr<AdminServer> admin(new AdminServer);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  admin->server_ = builder.BuildAndStart();
  if (admin->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, "; is the address taken, or not this machine's?"));
  }
  admin->address_ = absl::StrCat(absl::string_view(address).substr(0, address.rfind(':')), ":", port);
  admin->server_->GetHealthCheckService()->SetServingStatus(v1::BiasCoordinator::service_full_name(), true);
  return admin;
}

AdminServer::~AdminServer() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

}  // namespace evenkeel::rpc
