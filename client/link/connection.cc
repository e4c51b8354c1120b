#include "client/link/connection.h"

#include <utility>

#include "base/check.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "client/link/channel.h"

namespace evenkeel::client {

Connection::Connection(std::string coordinator, int max_reply_bytes, Credentials credentials)
    : coordinator_(std::move(coordinator)), max_reply_bytes_(max_reply_bytes), credentials_(std::move(credentials)) {}

absl::Status Connection::Open() {
  const TlsOptions& tls = credentials_.tls;
  if (stub_ != nullptr && (tls.ca.empty() || !has_failed_)) return absl::OkStatus();
  // The stamps come first: what changes while it is read is read again.
  std::vector<FileStamp> stamps = StampsOf(tls);
  if (stub_ != nullptr && stamps == stamps_) return absl::OkStatus();
  const absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials = ReadChannelCredentials(tls);
  if (!credentials.ok()) return absl::UnavailableError(credentials.status().message());
  stub_ = v1::BiasCoordinator::NewStub(MakeChannel(coordinator_, max_reply_bytes_, *credentials, tls.server_name));
  stamps_ = std::move(stamps);
  return absl::OkStatus();
}

absl::Status Connection::Join(const v1::JoinRequest& request, const Patience& patience, v1::JoinResponse* response) {
  return Call(&v1::BiasCoordinator::Stub::Join, request, patience, response);
}

absl::Status Connection::Push(const v1::PushRequest& request, const Patience& patience, v1::CommittedVersion* version) {
  return Call(&v1::BiasCoordinator::Stub::Push, request, patience, version);
}

absl::Status Connection::Heartbeat(const v1::HeartbeatRequest& request, const Patience& patience,
                                   v1::HeartbeatResponse* response) {
  return Call(&v1::BiasCoordinator::Stub::Heartbeat, request, patience, response);
}

absl::Status Connection::Leave(const v1::LeaveRequest& request, const Patience& patience) {
  v1::LeaveResponse response;
  return Call(&v1::BiasCoordinator::Stub::Leave, request, patience, &response);
}

absl::Status Connection::GetState(const v1::GetStateRequest& request, const Patience& patience,
                                  v1::GetStateResponse* response) {
  return Call(&v1::BiasCoordinator::Stub::GetState, request, patience, response);
}

absl::Status Connection::Rendezvous(const v1::RendezvousRequest& request, const Patience& patience,
                                    v1::RendezvousResponse* response) {
  return Call(&v1::BiasCoordinator::Stub::Rendezvous, request, patience, response);
}

void Connection::Stop() {
  MutexLock lock(&mutex_);
  stopped_ = true;
  if (in_progress_ != nullptr) in_progress_->TryCancel();
}

template <typename Request, typename Response>
absl::Status Connection::Call(Method<Request, Response> method, const Request& request, const Patience& patience,
                              Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + (patience.deadline - std::chrono::steady_clock::now()));
  context.set_wait_for_ready(patience.wait_for_connection);
  const absl::StatusOr<std::string> authorization = Authorization(credentials_);
  if (!authorization.ok()) return absl::UnavailableError(authorization.status().message());
  if (!authorization->empty()) context.AddMetadata("authorization", *authorization);
  EVENKEEL_RETURN_IF_ERROR(Open());
  if (!Enter(&context)) return absl::CancelledError("the connection is closed");
  const grpc::Status status = (stub_.get()->*method)(&context, request, response);
  Exit();
  has_failed_ = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  return FromGrpcStatus(status);
}

bool Connection::Enter(grpc::ClientContext* context) {
  MutexLock lock(&mutex_);
  if (stopped_) return false;
  EVENKEEL_CHECK(in_progress_ == nullptr);
  in_progress_ = context;
  return true;
}

void Connection::Exit() {
  MutexLock lock(&mutex_);
  in_progress_ = nullptr;
}

}  // namespace evenkeel::client
