#pragma once

#include <memory>

#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "rendezvous/table.h"
#include "server/engine/engine.h"
#include "server/rpc/call.h"
#include "server/rpc/push_reactor.h"
#include "server/rpc/push_shape.h"
#include "server/security/gate.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::rpc {

// All calls by the callback API, but for Push, which is handled as bytes so that the answers can share theirs.
using ServiceBase = v1::BiasCoordinator::WithRawCallbackMethod_Push<v1::BiasCoordinator::WithCallbackMethod_Join<
    v1::BiasCoordinator::WithCallbackMethod_Watch<v1::BiasCoordinator::WithCallbackMethod_Heartbeat<
        v1::BiasCoordinator::WithCallbackMethod_Leave<v1::BiasCoordinator::WithCallbackMethod_GetState<
            v1::BiasCoordinator::WithCallbackMethod_PutState<v1::BiasCoordinator::WithCallbackMethod_UpdateConfig<
                v1::BiasCoordinator::WithCallbackMethod_Rendezvous<v1::BiasCoordinator::WithCallbackMethod_ListJobs<
                    v1::BiasCoordinator::WithCallbackMethod_DescribeJob<
                        v1::BiasCoordinator::WithCallbackMethod_GetHistory<v1::BiasCoordinator::Service>>>>>>>>>>>>;

// The service of bias_coordinator.proto: asks a gate whether the caller may come in, parses, checks the form of a
// request, hands it to the engine (or, of ranks that look for each other, to a table), and answers when that does.
// Blocks no gRPC thread.
class Service final : public ServiceBase {
 public:
  // All outlive the service's server.
  Service(engine::Engine* engine, security::Gate* gate, telemetry::Metrics* metrics)
      : engine_(engine), gate_(gate), metrics_(metrics) {}

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context, const v1::JoinRequest* request,
                                 v1::JoinResponse* response) override;
  grpc::ServerUnaryReactor* Push(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context, const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) override;
  grpc::ServerUnaryReactor* Leave(grpc::CallbackServerContext* context, const v1::LeaveRequest* request,
                                  v1::LeaveResponse* response) override;
  grpc::ServerUnaryReactor* GetState(grpc::CallbackServerContext* context, const v1::GetStateRequest* request,
                                     v1::GetStateResponse* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context, const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* DescribeJob(grpc::CallbackServerContext* context, const v1::DescribeJobRequest* request,
                                        v1::DescribeJobResponse* response) override;
  grpc::ServerUnaryReactor* GetHistory(grpc::CallbackServerContext* context, const v1::GetHistoryRequest* request,
                                       v1::GetHistoryResponse* response) override;
  grpc::ServerUnaryReactor* UpdateConfig(grpc::CallbackServerContext* context, const v1::UpdateConfigRequest* request,
                                         v1::UpdateConfigResponse* response) override;
  grpc::ServerUnaryReactor* Rendezvous(grpc::CallbackServerContext* context, const v1::RendezvousRequest* request,
                                       v1::RendezvousResponse* response) override;

  // Not built yet: UNIMPLEMENTED, with a sentence.
  grpc::ServerWriteReactor<v1::CommittedVersion>* Watch(grpc::CallbackServerContext* context,
                                                        const v1::WatchRequest* request) override;
  grpc::ServerUnaryReactor* PutState(grpc::CallbackServerContext* context, const v1::PutStateRequest* request,
                                     v1::PutStateResponse* response) override;

  // Answers every Rendezvous, now and from now on, with UNAVAILABLE. The engine's calls are the engine's to drain.
  void DrainRendezvous() { rendezvous_->Stop(); }

 private:
  // Of a Join that has been admitted.
  void StartJoin(const Call& call, const security::Pass& pass, const v1::JoinRequest& request,
                 v1::JoinResponse* response, grpc::ServerUnaryReactor* reactor);

  engine::Engine* const engine_;
  security::Gate* const gate_;
  telemetry::Metrics* const metrics_;
  PushShapes shapes_;
  // Of the engine's thread, on which all pushes are answered.
  PushReactor::Answering answering_;
  const std::shared_ptr<rendezvous::Table> rendezvous_ = std::make_shared<rendezvous::Table>();
};

}  // namespace evenkeel::rpc
