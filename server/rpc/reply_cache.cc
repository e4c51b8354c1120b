#include "server/rpc/reply_cache.h"

#include "base/check.h"
#include "grpcpp/impl/codegen/proto_utils.h"

namespace evenkeel::rpc {

grpc::ByteBuffer ReplyCache::Serialize(const std::shared_ptr<const v1::CommittedVersion>& reply) {
  if (reply != reply_) {
    bool own_buffer = false;
    bytes_.Clear();
    EVENKEEL_CHECK(grpc::SerializationTraits<v1::CommittedVersion>::Serialize(*reply, &bytes_, &own_buffer).ok());
    reply_ = reply;
  }
  return bytes_;
}

}  // namespace evenkeel::rpc
