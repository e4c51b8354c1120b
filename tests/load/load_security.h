#pragma once

#include <memory>
#include <string>
#include <vector>

#include "grpcpp/security/credentials.h"

namespace evenkeel::load {

// How servers and workers of a run know each other: by nothing, or by certificates of a CA of the run's own.
class LoadSecurity {
 public:
  // With `tls` it writes PEM files to a new folder.
  explicit LoadSecurity(bool tls);

  // The flags of evenkeeld, and the arguments of echo_server.
  const std::vector<std::string>& coordinator_flags() const { return coordinator_flags_; }
  const std::vector<std::string>& echo_arguments() const { return echo_arguments_; }
  // Of the workers.
  const std::shared_ptr<grpc::ChannelCredentials>& credentials() const { return credentials_; }

 private:
  std::vector<std::string> coordinator_flags_;
  std::vector<std::string> echo_arguments_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_ = grpc::InsecureChannelCredentials();
};

}  // namespace evenkeel::load
