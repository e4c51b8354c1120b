#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_stamp.h"
#include "evenkeel/options.h"
#include "grpcpp/security/credentials.h"

namespace evenkeel::client {

// How a client shows who it is, and sees who the coordinator is.
struct Credentials {
  TlsOptions tls;
  // The token itself, or a file that holds it and is read for every call, so that it may be replaced. One or neither.
  std::string token;
  std::string token_file;

  static Credentials Of(const WorkerOptions& options) { return {options.tls, options.token, options.token_file}; }
};

// INVALID_ARGUMENT, naming the option, where a certificate has no key, or there is one without a CA; where a token
// would go over a connection to `coordinator` (host:port) that is neither encrypted nor of this machine; or where both
// a token and a file of one are given. The errors of reading a file that is not there.
absl::Status CheckCredentials(const Credentials& credentials, const std::string& coordinator);

// The channel credentials of what the files hold at the moment; plaintext without a CA. Errors of reading.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ReadChannelCredentials(const TlsOptions& tls);

// Which contents of the files those are.
std::vector<FileStamp> StampsOf(const TlsOptions& tls);

// The value of the header "authorization", or "" where there is no token. Errors of reading.
absl::StatusOr<std::string> Authorization(const Credentials& credentials);

}  // namespace evenkeel::client
