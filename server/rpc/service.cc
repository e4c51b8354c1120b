#include "server/rpc/service.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "base/request_check.h"
#include "base/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "rendezvous/serve.h"
#include "server/rpc/caller.h"

namespace evenkeel::rpc {
namespace {

security::Gate::Time Now() { return std::chrono::steady_clock::now(); }

// What a push says, taken out of `request`, which is empty then: until the step commits, a thousand calls wait, and
// what they were made of need not be kept twice. A count takes four bytes: with room for as many as the message may
// have, no array of counts moves as it grows.
bool TakePush(grpc::ByteBuffer* request, v1::PushRequest* push) {
  push->mutable_routed()->mutable_low()->Reserve(static_cast<int>(request->Length() / sizeof(uint32_t)));
  bool whole = false;
  {
    grpc::ProtoBufferReader reader(request);
    google::protobuf::io::CodedInputStream stream(&reader);
    whole = reader.status().ok() && push->MergeFromCodedStream(&stream) && stream.ConsumedEntireMessage();
  }
  request->Clear();
  return whole;
}

absl::Status NotBuiltYet(const char* sentence) {
  return ServiceError(absl::StatusCode::kUnimplemented, v1::ErrorDetail::NOT_SUPPORTED, sentence);
}

// To find out who calls takes longer than to let the call in.
security::Caller CallerFor(security::Gate* gate, const grpc::CallbackServerContext& context) {
  return gate->AsksWhoCalls() ? CallerOf(context) : security::Caller();
}

// Whether the call may come in, and its request has the form that it must have. `job` is empty where there is none.
absl::StatusOr<security::Pass> Admit(security::Gate* gate, const grpc::CallbackServerContext& context,
                                     security::Method method, const std::string& job,
                                     const google::protobuf::Message& request) {
  EVENKEEL_ASSIGN_OR_RETURN(security::Pass pass,
                            gate->Admit(CallerFor(gate, context), method, job, request.ByteSizeLong(), Now()));
  EVENKEEL_RETURN_IF_ERROR(CheckRequest(context, request));
  return pass;
}

}  // namespace

grpc::ServerUnaryReactor* Service::Join(grpc::CallbackServerContext* context, const v1::JoinRequest* request,
                                        v1::JoinResponse* response) {
  const Call call(metrics_, security::Method::kJoin);
  const std::string& job = request->job().name();
  const absl::StatusOr<security::Pass> pass = Admit(gate_, *context, security::Method::kJoin, job, *request);
  if (!pass.ok()) return call.Refuse(context, pass.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (!gate_->IsFullFor(*pass, job)) {
    StartJoin(call, *pass, *request, response, reactor);
    return reactor;
  }
  // Some of the caller's jobs may be gone by now.
  engine_->List([=, pass = *pass](const absl::StatusOr<v1::ListJobsResponse>& list) {
    std::vector<std::string> jobs;
    if (!list.ok()) return call.Finish(reactor, list.status());
    for (const v1::JobSummary& summary : list->jobs()) jobs.push_back(summary.name());
    gate_->KeepOnly(pass, jobs);
    StartJoin(call, pass, *request, response, reactor);
  });
  return reactor;
}

void Service::StartJoin(const Call& call, const security::Pass& pass, const v1::JoinRequest& request,
                        v1::JoinResponse* response, grpc::ServerUnaryReactor* reactor) {
  const absl::Status status = gate_->BeginJoin(pass, request.job());
  if (!status.ok()) return call.Finish(reactor, status);
  engine_->Join(request, [this, call, pass, job = request.job().name(), ranks = request.ranks_size(), response,
                          reactor](absl::StatusOr<v1::JoinResponse> answer) {
    gate_->EndJoin(pass, job, answer.ok());
    if (answer.ok()) shapes_.Learn(answer->effective(), ranks);
    call.AnswerInto(reactor, response)(std::move(answer));
  });
}

grpc::ServerUnaryReactor* Service::Push(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) {
  const Call call(metrics_, security::Method::kPush, Call::Kind::kWaits);
  // The caller and the size are looked at before anything is unpacked.
  const absl::StatusOr<std::string> job = JobOf(*request);
  if (!job.ok()) return call.Refuse(context, job.status());
  absl::Status status =
      gate_->Admit(CallerFor(gate_, *context), security::Method::kPush, *job, request->Length(), Now()).status();
  if (status.ok()) status = shapes_.Check(*job, request->Length());
  if (!status.ok()) return call.Refuse(context, status);
  v1::PushRequest push = engine_->EmptyPush();
  // The call's own object, const to handlers only.
  if (!TakePush(const_cast<grpc::ByteBuffer*>(request), &push) || push.job() != *job) {
    return call.Refuse(context, ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                                             "the request is not a PushRequest"));
  }
  status = CheckRequest(*context, push);
  if (!status.ok()) return call.Refuse(context, status);
  return PushReactor::Start(call, std::move(push), engine_, &answering_, response);
}

grpc::ServerUnaryReactor* Service::Heartbeat(grpc::CallbackServerContext* context, const v1::HeartbeatRequest* request,
                                             v1::HeartbeatResponse* response) {
  const Call call(metrics_, security::Method::kHeartbeat);
  const absl::Status status = Admit(gate_, *context, security::Method::kHeartbeat, request->job(), *request).status();
  if (!status.ok()) return call.Refuse(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->Heartbeat(*request, call.AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::Leave(grpc::CallbackServerContext* context, const v1::LeaveRequest* request,
                                         v1::LeaveResponse* response) {
  const Call call(metrics_, security::Method::kLeave);
  const absl::Status status = Admit(gate_, *context, security::Method::kLeave, request->job(), *request).status();
  if (!status.ok()) return call.Refuse(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->Leave(*request, call.AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::GetState(grpc::CallbackServerContext* context, const v1::GetStateRequest* request,
                                            v1::GetStateResponse* response) {
  const Call call(metrics_, security::Method::kGetState);
  const absl::Status status = Admit(gate_, *context, security::Method::kGetState, request->job(), *request).status();
  if (!status.ok()) return call.Refuse(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->GetState(*request, call.AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::ListJobs(grpc::CallbackServerContext* context, const v1::ListJobsRequest* request,
                                            v1::ListJobsResponse* response) {
  const Call call(metrics_, security::Method::kListJobs);
  const absl::StatusOr<security::Pass> pass = Admit(gate_, *context, security::Method::kListJobs, "", *request);
  if (!pass.ok()) return call.Refuse(context, pass.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->List([call, pass = *pass, response, reactor](absl::StatusOr<v1::ListJobsResponse> list) {
    if (!list.ok()) return call.Finish(reactor, list.status());
    for (v1::JobSummary& job : *list->mutable_jobs()) {
      if (pass.MaySee(job.name())) response->add_jobs()->Swap(&job);
    }
    call.Finish(reactor, absl::OkStatus());
  });
  return reactor;
}

grpc::ServerUnaryReactor* Service::DescribeJob(grpc::CallbackServerContext* context,
                                               const v1::DescribeJobRequest* request,
                                               v1::DescribeJobResponse* response) {
  const Call call(metrics_, security::Method::kDescribeJob);
  const absl::Status status = Admit(gate_, *context, security::Method::kDescribeJob, request->job(), *request).status();
  if (!status.ok()) return call.Refuse(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->Describe(request->job(), call.AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::GetHistory(grpc::CallbackServerContext* context,
                                              const v1::GetHistoryRequest* request, v1::GetHistoryResponse* response) {
  const Call call(metrics_, security::Method::kGetHistory);
  const absl::Status status = Admit(gate_, *context, security::Method::kGetHistory, request->job(), *request).status();
  if (!status.ok()) return call.Refuse(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->GetHistory(*request, call.AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerWriteReactor<v1::CommittedVersion>* Service::Watch(grpc::CallbackServerContext* context,
                                                               const v1::WatchRequest* request) {
  class Refusal final : public grpc::ServerWriteReactor<v1::CommittedVersion> {
   public:
    explicit Refusal(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
    void OnDone() override { delete this; }
  };
  const Call call(metrics_, security::Method::kWatch);
  absl::Status status = Admit(gate_, *context, security::Method::kWatch, request->job(), *request).status();
  if (status.ok()) status = NotBuiltYet("Watch is not built yet; every Push is answered with the newest version");
  call.Count(status);
  return new Refusal(status);
}

grpc::ServerUnaryReactor* Service::PutState(grpc::CallbackServerContext* context, const v1::PutStateRequest* request,
                                            v1::PutStateResponse* response) {
  const Call call(metrics_, security::Method::kPutState);
  const absl::Status status = Admit(gate_, *context, security::Method::kPutState, request->job(), *request).status();
  if (!status.ok()) return call.Refuse(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->PutState(*request, call.AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::UpdateConfig(grpc::CallbackServerContext* context,
                                                const v1::UpdateConfigRequest* request,
                                                v1::UpdateConfigResponse* response) {
  const Call call(metrics_, security::Method::kUpdateConfig);
  const absl::Status status =
      Admit(gate_, *context, security::Method::kUpdateConfig, request->job(), *request).status();
  if (!status.ok()) return call.Refuse(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_->UpdateConfig(*request, call.AnswerInto(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* Service::Rendezvous(grpc::CallbackServerContext* context,
                                              const v1::RendezvousRequest* request, v1::RendezvousResponse* response) {
  const Call call(metrics_, security::Method::kRendezvous, Call::Kind::kWaits);
  const absl::Status status = Admit(gate_, *context, security::Method::kRendezvous, request->job(), *request).status();
  if (!status.ok()) return call.Refuse(context, status);
  return rendezvous::Serve(context, *request, response, rendezvous_,
                           [call](const absl::Status& answer) { call.Count(answer); });
}

}  // namespace evenkeel::rpc
