#pragma once

#include <memory>
#include <string>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/credentials.h"

namespace evenkeel::client {

// A channel to `coordinator` (host:port) with a connection of its own, which
//  - pings every 20 s, waiting or not, so that a silent network is noticed within 30 s;
//  - is tried again within a second of the coordinator's return;
//  - accepts replies of up to `max_reply_bytes`;
//  - does not go through a proxy that the environment names: coordinator and workers share a network.
// `server_name` is what the coordinator's certificate must be for; empty: the host.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& coordinator, int max_reply_bytes,
                                           const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                           const std::string& server_name);

// Bytes that the largest reply to a contributor of the job that `join` describes can have, rounded up generously.
int MaxReplyBytes(const v1::JoinRequest& join);

}  // namespace evenkeel::client
