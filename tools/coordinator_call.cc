#include "tools/coordinator_call.h"

#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"

namespace evenkeel::tools {
namespace {

absl::Status CheckAddress(const std::string& address) {
  constexpr int kMaxPort = 65535;
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon != std::string::npos && colon > 0 && absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 1 &&
      port <= kMaxPort) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--coordinator: \"", address, "\" is not HOST:PORT with a port from 1 to ", kMaxPort));
}

}  // namespace

std::vector<Flag> FlagsOf(CoordinatorOptions* options) {
  TlsOptions* const tls = &options->credentials.tls;
  return {{"coordinator", &options->address},
          {"timeout", &options->timeout},
          {"tls-ca", &tls->ca},
          {"tls-cert", &tls->certificate},
          {"tls-key", &tls->private_key},
          {"tls-name", &tls->server_name},
          {"token-file", &options->credentials.token_file}};
}

absl::Status CheckCoordinator(const CoordinatorOptions& options) {
  constexpr double kMaxSeconds = 86400;
  EVENKEEL_RETURN_IF_ERROR(CheckAddress(options.address));
  EVENKEEL_RETURN_IF_ERROR(client::CheckCredentials(options.credentials, options.address));
  if (options.timeout > 0 && options.timeout <= kMaxSeconds) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--timeout: ", options.timeout, " is not above 0 and at most ", kMaxSeconds, " seconds"));
}

CoordinatorCaller::CoordinatorCaller(const CoordinatorOptions& options) : options_(options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // The description of a job with many contributors is larger than gRPC's default.
  arguments.SetMaxReceiveMessageSize(std::numeric_limits<int>::max());
  const std::string& server_name = options.credentials.tls.server_name;
  if (!server_name.empty()) arguments.SetSslTargetNameOverride(server_name);
  const auto credentials = client::ReadChannelCredentials(options.credentials.tls);
  opened_ = credentials.status();
  if (!opened_.ok()) return;
  stub_ = v1::BiasCoordinator::NewStub(grpc::CreateCustomChannel(options.address, *credentials, arguments));
}

void CoordinatorCaller::Cancel() {
  MutexLock lock(&mutex_);
  is_cancelled_ = true;
  if (context_ != nullptr) context_->TryCancel();
}

bool CoordinatorCaller::Begin(grpc::ClientContext* context) {
  MutexLock lock(&mutex_);
  if (!is_cancelled_) context_ = context;
  return !is_cancelled_;
}

void CoordinatorCaller::End() {
  MutexLock lock(&mutex_);
  context_ = nullptr;
}

absl::Status CoordinatorCaller::Explained(const absl::Status& status) const {
  std::string text;
  if (status.code() == absl::StatusCode::kUnavailable && ReasonOf(status) == v1::ErrorDetail::REASON_UNSPECIFIED) {
    text = absl::StrCat("no coordinator answers at ", options_.address, " (", status.message(),
                        "); start one with 'evenkeeld --state_dir DIR', or name another by --coordinator HOST:PORT");
  } else if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    text = absl::StrCat("the coordinator at ", options_.address, " did not answer within ", options_.timeout,
                        " s; it is busy, or this is no coordinator; wait longer by --timeout SECONDS");
  } else if (ReasonOf(status) == v1::ErrorDetail::NOT_KNOWN) {
    text =
        absl::StrCat(status.message(), "; say who calls by --token-file FILE, or --tls-cert FILE and --tls-key FILE");
  } else if (ReasonOf(status) == v1::ErrorDetail::JOB_UNKNOWN) {
    text = absl::StrCat(status.message(), "; 'evenkeel status' without --job lists the jobs there are");
  } else {
    return status;
  }
  return absl::Status(status.code(), text);
}

}  // namespace evenkeel::tools
