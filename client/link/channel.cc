#include "client/link/channel.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/keepalive.h"
#include "grpcpp/create_channel.h"
#include "job/layer_table.h"

namespace evenkeel::client {

int MaxReplyBytes(const v1::JoinRequest& join) {
  constexpr int64_t kSlack = 1 << 20;
  constexpr int64_t kBytesPerExpert = 16;  // its bias, and its share in a target
  constexpr int64_t kBytesPerContributor = 8;
  int64_t experts = 0;
  for (const v1::LayerSpec& layer : join.job().layers()) {
    experts += int64_t{job::StreamsOf(layer)} * layer.num_experts();
  }
  // The spec in force echoes the spec asked for, with every field set.
  const int64_t bytes = kSlack + 4 * static_cast<int64_t>(join.ByteSizeLong()) + kBytesPerExpert * experts +
                        kBytesPerContributor * join.job().contributors();
  return static_cast<int>(std::min<int64_t>(bytes, std::numeric_limits<int>::max()));
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& coordinator, int max_reply_bytes,
                                           const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                           const std::string& server_name) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(max_reply_bytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kClientPingMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);  // a connection attempt may take this long
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (!server_name.empty()) arguments.SetSslTargetNameOverride(server_name);
  return grpc::CreateCustomChannel(coordinator, credentials, arguments);
}

}  // namespace evenkeel::client
