#pragma once

#include <memory>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/support/byte_buffer.h"

namespace evenkeel::rpc {

// Serialises the reply of a commit once: every contributor's answer shares the bytes. Of one thread.
class ReplyCache {
 public:
  grpc::ByteBuffer Serialize(const std::shared_ptr<const v1::CommittedVersion>& reply);

 private:
  std::shared_ptr<const v1::CommittedVersion> reply_;
  grpc::ByteBuffer bytes_;
};

}  // namespace evenkeel::rpc
