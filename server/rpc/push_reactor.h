#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/engine/engine.h"
#include "server/rpc/reply_cache.h"

namespace evenkeel::rpc {

// One Push call while it waits for its commit. Deletes itself when gRPC is done with it.
class PushReactor final : public grpc::ServerUnaryReactor {
 public:
  // Hands `request` to the engine. `response` stays the call's; `replies` is the engine thread's.
  static PushReactor* Start(v1::PushRequest request, engine::Engine* engine, ReplyCache* replies,
                            grpc::ByteBuffer* response);

 private:
  PushReactor(engine::Engine* engine, ReplyCache* replies, grpc::ByteBuffer* response)
      : engine_(engine), replies_(replies), response_(response) {}

  void Answer(absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply);
  void OnCancel() override { engine_->Cancel(call_); }
  void OnDone() override { delete this; }

  engine::Engine* const engine_;
  ReplyCache* const replies_;
  grpc::ByteBuffer* const response_;
  // The engine's name of the call; set before gRPC knows the reactor, and so before OnCancel.
  core::CallId call_ = 0;
};

}  // namespace evenkeel::rpc
