#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace evenkeel::rpc {

// A gRPC server of its own for people who look into the process: reflection, channelz and grpc.health.v1. It tells who
// is connected, and asks nobody who they are: for loopback.
class AdminServer {
 public:
  // Listens on `address` (host:port; port 0 takes a free one), without sharing the port. UNAVAILABLE, naming the
  // address, when that fails.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const std::string& address);

  ~AdminServer();

  // host:port as bound.
  const std::string& address() const { return address_; }

 private:
  AdminServer() = default;

  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// Reflection and channelz add themselves to every server of a process that is linked with them. Keeps them out of the
// one that `builder` builds.
void WithoutAdministration(grpc::ServerBuilder* builder);

}  // namespace evenkeel::rpc
