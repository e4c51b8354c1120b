#include "client/link/connection.h"

#include "base/check.h"
#include "base/grpc_status.h"
#include "client/link/channel.h"

namespace evenkeel::client {

Connection::Connection(const std::string& coordinator, int max_reply_bytes)
    : stub_(v1::BiasCoordinator::NewStub(MakeChannel(coordinator, max_reply_bytes))) {}

absl::Status Connection::Join(const v1::JoinRequest& request, const Patience& patience, v1::JoinResponse* response) {
  return Call(&v1::BiasCoordinator::Stub::Join, request, patience, response);
}

absl::Status Connection::Push(const v1::PushRequest& request, const Patience& patience, v1::CommittedVersion* version) {
  return Call(&v1::BiasCoordinator::Stub::Push, request, patience, version);
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
  if (!Enter(&context)) return absl::CancelledError("the connection is closed");
  const grpc::Status status = (stub_.get()->*method)(&context, request, response);
  Exit();
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
