#include "server/rpc/push_reactor.h"

#include <utility>

#include "base/grpc_status.h"

namespace evenkeel::rpc {
namespace {

// So many are ended by the engine's thread as soon as by another.
constexpr size_t kFew = 4;

}  // namespace

PushReactor* PushReactor::Start(const Call& call, v1::PushRequest request, engine::Engine* engine, Answering* answering,
                                grpc::ByteBuffer* response) {
  auto* reactor = new PushReactor(call, engine, answering, response);
  // gRPC deletes the reactor no sooner than Start's caller has returned it, so it outlives an early answer.
  reactor->call_ =
      engine->Push(std::move(request), [reactor](absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply,
                                                 bool more) { reactor->Answer(std::move(reply), more); });
  return reactor;
}

void PushReactor::Answer(absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply, bool more) {
  if (reply.ok()) *response_ = answering_->replies.Serialize(*reply);
  status_ = ToGrpcStatus(reply.status());
  counted_.Count(reply.status());
  answering_->round.push_back(this);
  if (!more) FinishAll(std::exchange(answering_->round, {}));
}

void PushReactor::FinishAll(std::vector<PushReactor*> round) {
  PushReactor* const first = round.front();
  if (round.size() > kFew) {
    first->others_ = std::make_unique<Followup>([others = std::vector<PushReactor*>(round.begin() + 1, round.end())] {
      for (PushReactor* const reactor : others) reactor->Finish(reactor->status_);
    });
    round.resize(1);
  }
  for (PushReactor* const reactor : round) reactor->Finish(reactor->status_);
}

void PushReactor::OnDone() {
  if (others_ != nullptr) others_->Run();
  delete this;
}

}  // namespace evenkeel::rpc
