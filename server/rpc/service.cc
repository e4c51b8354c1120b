#include "server/rpc/service.h"

#include <utility>

#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "base/request_check.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "rendezvous/serve.h"
#include "server/rpc/push_reactor.h"

namespace evenkeel::rpc {
namespace {

grpc::ServerUnaryReactor* FinishWith(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

absl::Status NotBuiltYet(const char* sentence) {
  return ServiceError(absl::StatusCode::kUnimplemented, v1::ErrorDetail::NOT_SUPPORTED, sentence);
}

// Answers with what the engine says, moved into `response`.
template <typename T>
engine::Engine::Done<T> AnswerInto(grpc::ServerUnaryReactor* reactor, T* response) {
  return [reactor, response](absl::StatusOr<T> answer) {
    if (answer.ok()) *response = *std::move(answer);
    reactor->Finish(ToGrpcStatus(answer.status()));
  };
}

}  // namespace

grpc::ServerUnaryReactor* Service::Join(grpc::CallbackServerContext* context, const v1::JoinRequest* request,
                                        v1::JoinResponse* response) {
  const absl::Status status = CheckRequest(*context, *request);
  if (!status.ok()) return FinishWith(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->Join(*request, AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::Push(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) {
  v1::PushRequest push;
  grpc::ByteBuffer bytes(*request);
  if (!grpc::SerializationTraits<v1::PushRequest>::Deserialize(&bytes, &push).ok()) {
    return FinishWith(context, ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                                            "the request is not a PushRequest"));
  }
  const absl::Status status = CheckRequest(*context, push);
  if (!status.ok()) return FinishWith(context, status);
  return PushReactor::Start(std::move(push), engine_, &replies_, response);
}

grpc::ServerUnaryReactor* Service::Leave(grpc::CallbackServerContext* context, const v1::LeaveRequest* request,
                                         v1::LeaveResponse* response) {
  const absl::Status status = CheckRequest(*context, *request);
  if (!status.ok()) return FinishWith(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->Leave(*request, AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::GetState(grpc::CallbackServerContext* context, const v1::GetStateRequest* request,
                                            v1::GetStateResponse* response) {
  const absl::Status status = CheckRequest(*context, *request);
  if (!status.ok()) return FinishWith(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->GetState(*request, AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::ListJobs(grpc::CallbackServerContext* context, const v1::ListJobsRequest* request,
                                            v1::ListJobsResponse* response) {
  const absl::Status status = CheckRequest(*context, *request);
  if (!status.ok()) return FinishWith(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->List(AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::DescribeJob(grpc::CallbackServerContext* context,
                                               const v1::DescribeJobRequest* request,
                                               v1::DescribeJobResponse* response) {
  const absl::Status status = CheckRequest(*context, *request);
  if (!status.ok()) return FinishWith(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->Describe(request->job(), AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerWriteReactor<v1::CommittedVersion>* Service::Watch(grpc::CallbackServerContext* context,
                                                               const v1::WatchRequest* request) {
  class Refusal final : public grpc::ServerWriteReactor<v1::CommittedVersion> {
   public:
    Refusal() {
      Finish(ToGrpcStatus(NotBuiltYet("Watch is not built yet; every Push is answered with the newest version")));
    }
    void OnDone() override { delete this; }
  };
  return new Refusal;
}

grpc::ServerUnaryReactor* Service::PutState(grpc::CallbackServerContext* context, const v1::PutStateRequest* request,
                                            v1::PutStateResponse* response) {
  const absl::Status status = CheckRequest(*context, *request);
  if (!status.ok()) return FinishWith(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->PutState(*request, AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::UpdateConfig(grpc::CallbackServerContext* context,
                                                const v1::UpdateConfigRequest* request,
                                                v1::UpdateConfigResponse* response) {
  const absl::Status status = CheckRequest(*context, *request);
  if (!status.ok()) return FinishWith(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->UpdateConfig(*request, AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::Rendezvous(grpc::CallbackServerContext* context,
                                              const v1::RendezvousRequest* request, v1::RendezvousResponse* response) {
  const absl::Status status = CheckRequest(*context, *request);
  if (!status.ok()) return FinishWith(context, status);
  return rendezvous::Serve(context, *request, response, rendezvous_);
}

}  // namespace evenkeel::rpc
