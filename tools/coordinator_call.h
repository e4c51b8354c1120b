#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/grpc_status.h"
#include "base/mutex.h"
#include "client/link/credentials.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "tools/flags.h"

// How commands reach a running coordinator.
namespace evenkeel::tools {

// Where it is, how long to wait for it, and how to show who calls.
struct CoordinatorOptions {
  std::string address = "127.0.0.1:7411";
  double timeout = 5;  // seconds
  client::Credentials credentials;
};

// The flags that set `options`, for ParseFlags: --coordinator, --timeout, --tls-ca, --tls-cert, --tls-key, --tls-name
// and
// --token-file. kCredentialsHelp tells of the latter.
std::vector<Flag> FlagsOf(CoordinatorOptions* options);

inline constexpr char kCredentialsHelp[] =
    R"(  --tls-ca FILE            the CAs of the coordinator's certificate; absent: the connection is not encrypted
  --tls-cert FILE          the caller's own certificate, and its key, where the coordinator asks for them
  --tls-key FILE
  --tls-name NAME          the name that the coordinator's certificate has; absent: the host of --coordinator
  --token-file FILE        the token that says who calls, where the coordinator asks for one
)";

// INVALID_ARGUMENT, naming the flag, for an address that is not HOST:PORT, and a timeout out of range; and the errors
// of client::CheckCredentials.
absl::Status CheckCoordinator(const CoordinatorOptions& options);

// Calls to one coordinator, one at a time. `options` outlive it.
class CoordinatorCaller {
 public:
  explicit CoordinatorCaller(const CoordinatorOptions& options);

  // Calls `method` of the stub. Errors say what to do next, where this side knows it.
  template <typename Method, typename Request, typename Response>
  absl::Status Call(Method method, const Request& request, Response* response) {
    const absl::StatusOr<std::string> authorization = client::Authorization(options_.credentials);
    if (!authorization.ok()) return authorization.status();
    grpc::ClientContext context;
    if (!authorization->empty()) context.AddMetadata("authorization", *authorization);
    if (!opened_.ok()) return opened_;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::microseconds(static_cast<int64_t>(options_.timeout * 1e6)));
    if (!Begin(&context)) return absl::CancelledError("the call was cancelled");
    const grpc::Status status = (stub_.get()->*method)(&context, request, response);
    End();
    return Explained(FromGrpcStatus(status));
  }

  // Ends the call that is under way, with CANCELLED, and all that follow. From any thread.
  void Cancel();

 private:
  absl::Status Explained(const absl::Status& status) const;
  // False where calls are cancelled.
  bool Begin(grpc::ClientContext* context);
  void End();

  const CoordinatorOptions& options_;
  absl::Status opened_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  Mutex mutex_;
  bool is_cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  // Of the call that is under way.
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace evenkeel::tools
