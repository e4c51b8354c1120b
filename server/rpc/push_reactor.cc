#include "server/rpc/push_reactor.h"

#include <utility>

#include "base/grpc_status.h"

namespace evenkeel::rpc {

PushReactor* PushReactor::Start(v1::PushRequest request, engine::Engine* engine, ReplyCache* replies,
                                grpc::ByteBuffer* response) {
  auto* reactor = new PushReactor(engine, replies, response);
  // gRPC deletes the reactor no sooner than Start's caller has returned it, so it outlives an early answer.
  reactor->call_ =
      engine->Push(std::move(request), [reactor](absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply) {
        reactor->Answer(std::move(reply));
      });
  return reactor;
}

void PushReactor::Answer(absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply) {
  if (reply.ok()) *response_ = replies_->Serialize(*reply);
  Finish(ToGrpcStatus(reply.status()));
}

}  // namespace evenkeel::rpc
