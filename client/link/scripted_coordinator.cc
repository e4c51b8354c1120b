#include "client/link/scripted_coordinator.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "job/layer_table.h"
#include "kernels/balance/bias_hash.h"

namespace evenkeel::client {

class ScriptedCoordinator::Service final : public v1::BiasCoordinator::Service {
 public:
  explicit Service(ScriptedCoordinator* owner) : owner_(*owner) {}

  grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest* request, v1::JoinResponse* response) override {
    JoinAnswer answer;
    {
      MutexLock lock(&owner_.mutex_);
      answer = owner_.Take(*request, &owner_.joins_, &owner_.join_script_);
    }
    return ToGrpcStatus(answer ? answer(*request, response) : owner_.AnswerJoin(*request, response));
  }

  grpc::Status Push(grpc::ServerContext*, const v1::PushRequest* request, v1::CommittedVersion* version) override {
    PushAnswer answer;
    {
      MutexLock lock(&owner_.mutex_);
      answer = owner_.Take(*request, &owner_.pushes_, &owner_.push_script_);
    }
    return ToGrpcStatus(answer ? answer(*request, version) : owner_.AnswerPush(*request, version));
  }

  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request, v1::HeartbeatResponse*) override {
    MutexLock lock(&owner_.mutex_);
    owner_.heartbeats_.push_back(*request);
    owner_.changed_.NotifyAll();
    return grpc::Status::OK;
  }

  grpc::Status Leave(grpc::ServerContext*, const v1::LeaveRequest* request, v1::LeaveResponse*) override {
    MutexLock lock(&owner_.mutex_);
    owner_.leaves_.push_back(*request);
    return grpc::Status::OK;
  }

 private:
  ScriptedCoordinator& owner_;
};

ScriptedCoordinator::ScriptedCoordinator(uint64_t committed_step)
    : service_(std::make_unique<Service>(this)), committed_step_(committed_step) {
  Start(/*epoch=*/1);
}

ScriptedCoordinator::~ScriptedCoordinator() { Stop(); }

std::string ScriptedCoordinator::address() const { return absl::StrCat("127.0.0.1:", port_); }

void ScriptedCoordinator::Stop() {
  {
    MutexLock lock(&mutex_);
    serving_ = false;
    changed_.NotifyAll();
  }
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void ScriptedCoordinator::Start(uint64_t epoch) {
  {
    MutexLock lock(&mutex_);
    serving_ = true;
    epoch_ = epoch;
  }
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr) << "cannot listen on " << address();
}

void ScriptedCoordinator::ScriptJoin(JoinAnswer answer) {
  MutexLock lock(&mutex_);
  join_script_.push_back(std::move(answer));
}

void ScriptedCoordinator::ScriptPush(PushAnswer answer) {
  MutexLock lock(&mutex_);
  push_script_.push_back(std::move(answer));
}

absl::Status ScriptedCoordinator::AnswerJoin(const v1::JoinRequest& request, v1::JoinResponse* response) {
  MutexLock lock(&mutex_);
  job_ = request.job();
  response->set_epoch(epoch_);
  response->set_open_step(committed_step_ + 1);
  *response->mutable_effective() = job_;
  *response->mutable_version() = Version(committed_epoch_, committed_step_);
  return absl::OkStatus();
}

absl::Status ScriptedCoordinator::AnswerPush(const v1::PushRequest& request, v1::CommittedVersion* version) {
  MutexLock lock(&mutex_);
  if (request.epoch() != epoch_) {
    v1::ErrorDetail detail;
    detail.set_reason(request.epoch() < epoch_ ? v1::ErrorDetail::STALE_EPOCH : v1::ErrorDetail::EPOCH_AHEAD);
    detail.set_epoch(epoch_);
    return ServiceError(absl::StatusCode::kFailedPrecondition, detail,
                        absl::StrCat("the push is of epoch ", request.epoch(), ", this is epoch ", epoch_));
  }
  if (request.step() == committed_step_ + 1) {
    committed_step_ = request.step();
    committed_epoch_ = epoch_;
  }
  *version = Version(committed_epoch_, committed_step_);
  version->set_ok(request.ok());
  version->set_tokens(request.valid_tokens_size() > 0 ? request.valid_tokens(0) : 0);
  return absl::OkStatus();
}

absl::Status ScriptedCoordinator::Park() {
  MutexLock lock(&mutex_);
  while (serving_) changed_.Wait(&mutex_);
  return absl::UnavailableError("the coordinator is stopping");
}

v1::CommittedVersion ScriptedCoordinator::VersionOf(uint64_t epoch, uint64_t step) const {
  MutexLock lock(&mutex_);
  return Version(epoch, step);
}

v1::CommittedVersion ScriptedCoordinator::Version(uint64_t epoch, uint64_t step) const {
  v1::CommittedVersion version;
  version.mutable_version()->set_epoch(epoch);
  version.mutable_version()->set_step(step);
  version.set_valid_from(step + 1);
  version.set_ok(true);
  version.set_durable_step(step);
  std::vector<uint64_t> hashes;
  const job::LayerTable rows(job_);
  for (int i = 0; i < rows.size(); ++i) {
    std::vector<float> bias;
    for (int expert = 0; expert < rows[i].num_experts; ++expert) {
      bias.push_back(static_cast<float>(step) + static_cast<float>(version.bias_size()) / 8);
      version.add_bias(bias.back());
    }
    hashes.push_back(balance::HashBias(bias));
    version.add_layer_hashes(hashes.back());
    version.add_reasons(v1::UpdateReason::MOVED);
    version.add_max_violation(static_cast<float>(step) + static_cast<float>(i) / 4);
  }
  version.set_state_hash(balance::CombineHashes(hashes));
  return version;
}

std::vector<v1::JoinRequest> ScriptedCoordinator::Joins() const {
  MutexLock lock(&mutex_);
  return joins_;
}

std::vector<v1::PushRequest> ScriptedCoordinator::Pushes() const {
  MutexLock lock(&mutex_);
  return pushes_;
}

std::vector<v1::LeaveRequest> ScriptedCoordinator::Leaves() const {
  MutexLock lock(&mutex_);
  return leaves_;
}

void ScriptedCoordinator::AwaitJoins(size_t count) {
  MutexLock lock(&mutex_);
  AwaitSize(joins_, count);
}

std::vector<v1::HeartbeatRequest> ScriptedCoordinator::AwaitHeartbeats(size_t count) {
  MutexLock lock(&mutex_);
  AwaitSize(heartbeats_, count);
  return heartbeats_;
}

void ScriptedCoordinator::AwaitPushes(size_t count) {
  MutexLock lock(&mutex_);
  AwaitSize(pushes_, count);
}

template <typename Request, typename Answer>
Answer ScriptedCoordinator::Take(const Request& request, std::vector<Request>* log, std::deque<Answer>* script) {
  log->push_back(request);
  changed_.NotifyAll();
  if (script->empty()) return nullptr;
  Answer answer = std::move(script->front());
  script->pop_front();
  return answer;
}

template <typename Request>
void ScriptedCoordinator::AwaitSize(const std::vector<Request>& log, size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (log.size() < count) {
    if (!changed_.WaitUntil(&mutex_, deadline) && log.size() < count) {
      FAIL() << "waited for " << count << " requests, " << log.size() << " came";
    }
  }
}

}  // namespace evenkeel::client
