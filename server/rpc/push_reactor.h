#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/engine/engine.h"
#include "server/rpc/call.h"
#include "server/rpc/followup.h"
#include "server/rpc/reply_cache.h"

namespace evenkeel::rpc {

// One Push call while it waits for its commit. Deletes itself when gRPC is done with it.
class PushReactor final : public grpc::ServerUnaryReactor {
 public:
  // What the answers of the engine's thread share.
  struct Answering {
    ReplyCache replies;
    // Of the calls that are answered at this moment.
    std::vector<PushReactor*> round;
  };

  // Hands the `request` of a call to the engine. `response` stays the call's; `answering` is the engine thread's.
  static PushReactor* Start(const Call& call, v1::PushRequest request, engine::Engine* engine, Answering* answering,
                            grpc::ByteBuffer* response);

 private:
  PushReactor(const Call& call, engine::Engine* engine, Answering* answering, grpc::ByteBuffer* response)
      : counted_(call), engine_(engine), answering_(answering), response_(response) {}

  void Answer(absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply, bool more);
  // For each call that a thread of ours ends, gRPC wakes one of its own, and that costs more than the answer. So the
  // engine's thread ends only the first; when that is done, on a thread of gRPC's, it ends the others there. A caller
  // that takes its answer slowly, or not at all, keeps them waiting for no longer than a Followup does.
  static void FinishAll(std::vector<PushReactor*> round);

  void OnCancel() override { engine_->Cancel(call_); }
  void OnDone() override;
  // Neither of them blocks: without a word to gRPC, each would run on a thread of its executor, which wakes up for it.
  bool InternalInlineable() override { return true; }

  const Call counted_;
  engine::Engine* const engine_;
  Answering* const answering_;
  grpc::ByteBuffer* const response_;
  // The engine's name of the call; set before gRPC knows the reactor, and so before OnCancel.
  core::CallId call_ = 0;
  grpc::Status status_;
  // Ends the other calls of the round; null where another call does.
  std::unique_ptr<Followup> others_;
};

}  // namespace evenkeel::rpc
