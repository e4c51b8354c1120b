#include "tests/protocol_client.h"

#include <chrono>

#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "grpcpp/grpcpp.h"
#include "job/layer_table.h"

namespace evenkeel::tests {
namespace {

void SetTimeout(absl::Duration timeout, grpc::ClientContext* context) {
  context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  context->set_wait_for_ready(true);
}

}  // namespace

v1::JobSpec SmallJob(const std::string& name, int contributors) {
  v1::JobSpec job;
  job.set_name(name);
  job.set_contributors(contributors);
  v1::LayerSpec* a = job.add_layers();
  a->set_name("a");
  a->set_num_experts(4);
  a->set_top_k(1);
  v1::LayerSpec* b = job.add_layers();
  b->set_name("b");
  b->set_num_experts(8);
  b->set_top_k(2);
  return job;
}

v1::JobSpec SmallJobWithStreams(const std::string& name, int contributors) {
  v1::JobSpec job = SmallJob(name, contributors);
  job.mutable_layers(0)->set_streams(2);
  job.mutable_layers(1)->set_counts_dispatched(true);
  return job;
}

v1::JoinRequest JoinOf(const v1::JobSpec& job, int contributor, uint64_t incarnation, uint64_t next_step) {
  v1::JoinRequest request;
  request.set_protocol_version(1);
  *request.mutable_job() = job;
  request.set_contributor(contributor);
  request.set_incarnation(incarnation);
  request.set_next_step(next_step);
  return request;
}

v1::PushRequest PushOf(const v1::JobSpec& job, int contributor, uint64_t incarnation, uint64_t step,
                       const v1::JoinResponse& joined) {
  v1::PushRequest push;
  push.set_job(job.name());
  push.set_contributor(contributor);
  push.set_incarnation(incarnation);
  push.set_epoch(joined.epoch());
  push.set_step(step);
  push.set_ok(true);
  *push.mutable_routed_with() = joined.version().version();
  const job::LayerTable layers(job);
  for (const job::LayerTable::Row& row : layers.rows()) {
    uint64_t sum = 0;
    for (int expert = 0; expert < row.num_experts; ++expert) {
      const uint32_t count = 2 * ((expert * 7 + contributor * 3 + step * 5 + row.stream) % 11);
      push.mutable_routed()->add_low(count);
      // Half of them.
      if (row.dispatched_offset >= 0) push.mutable_dispatched()->add_low(count / 2);
      sum += count;
    }
    push.add_valid_tokens(sum / row.top_k);
  }
  return push;
}

absl::StatusOr<v1::JoinResponse> Join(v1::BiasCoordinator::Stub* stub, const v1::JoinRequest& request) {
  grpc::ClientContext context;
  SetTimeout(absl::Seconds(30), &context);
  v1::JoinResponse response;
  const absl::Status status = FromGrpcStatus(stub->Join(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::CommittedVersion> Push(v1::BiasCoordinator::Stub* stub, const v1::PushRequest& request,
                                          absl::Duration timeout) {
  grpc::ClientContext context;
  SetTimeout(timeout, &context);
  v1::CommittedVersion response;
  const absl::Status status = FromGrpcStatus(stub->Push(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

std::future<absl::StatusOr<v1::CommittedVersion>> PushLater(v1::BiasCoordinator::Stub* stub, v1::PushRequest request) {
  return std::async(std::launch::async, [stub, request = std::move(request)] { return Push(stub, request); });
}

absl::Status AwaitPushed(v1::BiasCoordinator::Stub* stub, const std::string& job,
                         const std::vector<int>& contributors) {
  v1::DescribeJobRequest request;
  request.set_job(job);
  for (const absl::Time deadline = absl::Now() + absl::Seconds(30); absl::Now() < deadline;) {
    grpc::ClientContext context;
    SetTimeout(absl::Seconds(30), &context);
    v1::DescribeJobResponse response;
    const absl::Status status = FromGrpcStatus(stub->DescribeJob(&context, request, &response));
    if (!status.ok()) return status;
    std::vector<int> pushed;
    for (const v1::ContributorStatus& contributor : response.contributors()) {
      if (contributor.pushed()) pushed.push_back(contributor.contributor());
    }
    if (pushed == contributors) return absl::OkStatus();
  }
  return absl::DeadlineExceededError("the contributors did not push within 30 s");
}

}  // namespace evenkeel::tests
