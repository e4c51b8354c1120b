#pragma once

#include <chrono>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "base/grpc_status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/security/permission.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::rpc {

// One call, from its arrival to its answer, which is counted on the metrics page. A value.
class Call {
 public:
  enum class Kind {
    kOwn,    // answered when the coordinator has done what it asks: the page has its duration too
    kWaits,  // answered when others have come
  };

  Call(telemetry::Metrics* metrics, security::Method method, Kind kind = Kind::kOwn)
      : metrics_(metrics), method_(method), kind_(kind) {}

  // To be called once, when it is known what the call is answered with.
  void Count(const absl::Status& status) const {
    std::optional<double> seconds;
    if (kind_ == Kind::kOwn) {
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - arrival_).count();
    }
    metrics_->CountCall(security::NameOf(method_), status.code(), seconds);
  }

  void Finish(grpc::ServerUnaryReactor* reactor, const absl::Status& status) const {
    Count(status);
    reactor->Finish(ToGrpcStatus(status));
  }

  // Answers a call that goes no further.
  grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context, const absl::Status& status) const {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    Finish(reactor, status);
    return reactor;
  }

  // Answers with what the engine says, moved into `response`.
  template <typename T>
  auto AnswerInto(grpc::ServerUnaryReactor* reactor, T* response) const {
    return [call = *this, reactor, response](absl::StatusOr<T> answer) {
      if (answer.ok()) *response = *std::move(answer);
      call.Finish(reactor, answer.status());
    };
  }

 private:
  telemetry::Metrics* metrics_;
  security::Method method_;
  Kind kind_;
  std::chrono::steady_clock::time_point arrival_ = std::chrono::steady_clock::now();
};

}  // namespace evenkeel::rpc
