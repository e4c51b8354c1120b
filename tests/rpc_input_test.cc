// What a coordinator answers to input that is malformed, too large, unknown or not built yet: an error that names it,
// and no change of state.

#include <string>

#include "absl/time/clock.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/evenkeeld_process.h"
#include "tests/health.h"
#include "tests/http_get.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;

class RpcInputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    EvenkeeldProcess::Options options;
    options.state_dir = NewFolder("state");
    absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(options);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = process->release();
  }
  static void TearDownTestSuite() { delete process_; }

  void SetUp() override {
    ASSERT_NE(process_, nullptr);
    stub_ = process_->NewStub();
    context_.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
  }

  // Sends bytes as they are.
  absl::Status SendRaw(const std::string& method, const std::string& bytes) {
    grpc::GenericStub stub(grpc::CreateChannel(process_->address(), grpc::InsecureChannelCredentials()));
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::CompletionQueue queue;
    auto call = stub.PrepareUnaryCall(&context_, "/evenkeel.v1.BiasCoordinator/" + method, request, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(&response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return FromGrpcStatus(status);
  }

  static EvenkeeldProcess* process_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  grpc::ClientContext context_;
};

EvenkeeldProcess* RpcInputTest::process_ = nullptr;

TEST_F(RpcInputTest, ACallWithoutADeadlineIsRefused) {
  grpc::ClientContext context;
  v1::ListJobsResponse response;
  const absl::Status status = FromGrpcStatus(stub_->ListJobs(&context, v1::ListJobsRequest(), &response));
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::DEADLINE_REQUIRED);
  grpc::ClientContext push_context;
  v1::CommittedVersion version;
  EXPECT_EQ(ReasonOf(FromGrpcStatus(stub_->Push(&push_context, v1::PushRequest(), &version))),
            v1::ErrorDetail::DEADLINE_REQUIRED);
  grpc::ClientContext rendezvous_context;
  v1::RendezvousResponse values;
  EXPECT_EQ(ReasonOf(FromGrpcStatus(stub_->Rendezvous(&rendezvous_context, v1::RendezvousRequest(), &values))),
            v1::ErrorDetail::DEADLINE_REQUIRED);
}

TEST_F(RpcInputTest, AWrongFieldOfARendezvousIsNamed) {
  v1::RendezvousRequest request;
  request.set_job("run");
  request.set_group("world");
  request.set_key("join");
  request.set_size(1);
  request.set_rank(1);
  v1::RendezvousResponse values;
  const absl::Status status = FromGrpcStatus(stub_->Rendezvous(&context_, request, &values));
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::INVALID_FIELD);
  EXPECT_EQ(status.message(), "rank 1 must lie in 0 .. 0");
}

TEST_F(RpcInputTest, TruncatedPushIsRefused) {
  const v1::JobSpec job = SmallJob("truncated", 1);
  const std::string bytes = PushOf(job, 0, 1, 1, v1::JoinResponse()).SerializeAsString();
  const absl::Status status = SendRaw("Push", bytes.substr(0, bytes.size() - 3));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("PushRequest"));
}

TEST_F(RpcInputTest, UnknownFieldsAreNamedAtAnyDepth) {
  v1::JoinRequest join = JoinOf(SmallJob("unknown", 1), 0, 1, 1);
  v1::LayerSpec* layer = join.mutable_job()->mutable_layers(1);
  layer->GetReflection()->MutableUnknownFields(layer)->AddVarint(4711, 1);
  const absl::Status status = Join(stub_.get(), join).status();
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::INVALID_FIELD);
  EXPECT_THAT(std::string(status.message()), HasSubstr("field 4711 of evenkeel.v1.LayerSpec"));

  v1::DescribeJobRequest describe;
  describe.set_job("unknown");
  v1::DescribeJobResponse response;
  EXPECT_EQ(ReasonOf(FromGrpcStatus(stub_->DescribeJob(&context_, describe, &response))), v1::ErrorDetail::JOB_UNKNOWN)
      << "the refused join made a job";
}

TEST_F(RpcInputTest, AnOversizedMessageIsRefused) {
  const absl::Status status = SendRaw("Push", std::string(5 << 20, 'x'));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST_F(RpcInputTest, WhatIsNotBuiltYetSaysSo) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
  v1::CommittedVersion version;
  auto reader = stub_->Watch(&context, v1::WatchRequest());
  EXPECT_FALSE(reader->Read(&version));
  const absl::Status status = FromGrpcStatus(reader->Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::NOT_SUPPORTED);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not built yet"));
}

TEST_F(RpcInputTest, WhatOperatorsSendNamesAJobAndFits) {
  const auto set_deadline = [](grpc::ClientContext* context) {
    context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
  };
  v1::UpdateConfigRequest change;
  change.set_job("nobody's");
  v1::UpdateConfigResponse changed;
  grpc::ClientContext of_change;
  set_deadline(&of_change);
  EXPECT_EQ(ReasonOf(FromGrpcStatus(stub_->UpdateConfig(&of_change, change, &changed))), v1::ErrorDetail::JOB_UNKNOWN);

  v1::PutStateRequest put;
  put.set_job("nobody's");
  put.mutable_snapshot()->set_format_version(2);
  put.mutable_snapshot()->set_state("no state");
  v1::PutStateResponse is_put;
  grpc::ClientContext of_put;
  set_deadline(&of_put);
  EXPECT_EQ(FromGrpcStatus(stub_->PutState(&of_put, put, &is_put)).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RpcInputTest, AnInitialBiasOfAnotherLengthIsRefused) {
  v1::JoinRequest join = JoinOf(SmallJob("later", 1), 0, 1, 1);
  join.add_initial_bias(0.5f);
  EXPECT_EQ(ReasonOf(Join(stub_.get(), join).status()), v1::ErrorDetail::INVALID_FIELD) << "too short";
}

TEST_F(RpcInputTest, CountsThatDoNotAddUpNameTheLayer) {
  const v1::JobSpec job = SmallJob("sums", 1);
  const absl::StatusOr<v1::JoinResponse> joined = Join(stub_.get(), JoinOf(job, 0, 1, 1));
  ASSERT_TRUE(joined.ok()) << joined.status();
  v1::PushRequest push = PushOf(job, 0, 1, 1, *joined);
  push.mutable_routed()->set_low(5, push.routed().low(5) + 1);
  const absl::Status status = Push(stub_.get(), push).status();
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::COUNTS_INCONSISTENT);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layer \"b\""));
  push = PushOf(job, 0, 1, 1, *joined);
  push.mutable_routed()->add_low(0);
  EXPECT_EQ(ReasonOf(Push(stub_.get(), push).status()), v1::ErrorDetail::SHAPE_MISMATCH);
  const absl::StatusOr<v1::CommittedVersion> good = Push(stub_.get(), PushOf(job, 0, 1, 1, *joined));
  EXPECT_TRUE(good.ok()) << good.status();
}

TEST_F(RpcInputTest, WhatWasDispatchedIsAPartOfWhatWasRouted) {
  const v1::JobSpec job = SmallJobWithStreams("dispatched", 1);
  const absl::StatusOr<v1::JoinResponse> joined = Join(stub_.get(), JoinOf(job, 0, 1, 1));
  ASSERT_TRUE(joined.ok()) << joined.status();
  const v1::PushRequest good = PushOf(job, 0, 1, 1, *joined);
  v1::PushRequest push = good;
  push.clear_dispatched();
  EXPECT_EQ(ReasonOf(Push(stub_.get(), push).status()), v1::ErrorDetail::SHAPE_MISMATCH);
  push = good;
  push.mutable_dispatched()->add_low(0);
  EXPECT_EQ(ReasonOf(Push(stub_.get(), push).status()), v1::ErrorDetail::SHAPE_MISMATCH);
  push = good;
  push.mutable_dispatched()->set_low(2, push.routed().low(4 + 4 + 2) + 1);
  const absl::Status status = Push(stub_.get(), push).status();
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::DISPATCHED_INCONSISTENT);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layer \"b\", expert 2: dispatched is"));
  push = PushOf(SmallJob("plain", 1), 0, 1, 1, *joined);
  push.set_job("dispatched");
  EXPECT_EQ(ReasonOf(Push(stub_.get(), push).status()), v1::ErrorDetail::SHAPE_MISMATCH) << "without its second stream";

  const absl::StatusOr<v1::CommittedVersion> version = Push(stub_.get(), good);
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->bias_size(), 4 + 4 + 8);
  // As in TheMetricsPageShowsJobPushesCommitsAndLayers.
  v1::ListJobsResponse response;
  ASSERT_TRUE(stub_->ListJobs(&context_, v1::ListJobsRequest(), &response).ok());
  const absl::StatusOr<std::string> page = HttpGet(process_->metrics_address(), "/metrics");
  ASSERT_TRUE(page.ok()) << page.status();
  for (const char* series : {"evenkeel_layer_drop_ratio{job=\"dispatched\",layer=\"b\"} 0.5",
                             "evenkeel_layer_last_update_step{job=\"dispatched\",layer=\"a\",stream=\"1\"} 1",
                             "evenkeel_layer_last_update_step{job=\"dispatched\",layer=\"b\"} 1"}) {
    EXPECT_THAT(*page, HasSubstr(series));
  }
}

TEST_F(RpcInputTest, TheSnapshotOfAJobIsWhatItsRepliesSay) {
  const v1::JobSpec job = SmallJob("snapshot", 1);
  const absl::StatusOr<v1::JoinResponse> joined = Join(stub_.get(), JoinOf(job, 0, 1, 1));
  ASSERT_TRUE(joined.ok()) << joined.status();
  const absl::StatusOr<v1::CommittedVersion> version = Push(stub_.get(), PushOf(job, 0, 1, 1, *joined));
  ASSERT_TRUE(version.ok()) << version.status();
  v1::GetStateRequest request;
  request.set_job("snapshot");
  v1::GetStateResponse response;
  ASSERT_TRUE(stub_->GetState(&context_, request, &response).ok());
  v1::JobState state;
  ASSERT_TRUE(state.ParseFromString(response.snapshot().state()));
  EXPECT_EQ(state.version().step(), 1);
  EXPECT_EQ(state.layers(1).bias(0), version->bias(4));
}

TEST_F(RpcInputTest, HealthIsServing) {
  EXPECT_EQ(CheckHealth(process_->address(), "evenkeel.v1.BiasCoordinator"), "SERVING");
}

TEST_F(RpcInputTest, TheMetricsPageShowsJobPushesCommitsAndLayers) {
  const v1::JobSpec job = SmallJob("seen", 1);
  const absl::StatusOr<v1::JoinResponse> joined = Join(stub_.get(), JoinOf(job, 0, 1, 1));
  ASSERT_TRUE(joined.ok()) << joined.status();
  ASSERT_TRUE(Push(stub_.get(), PushOf(job, 0, 1, 1, *joined)).ok());
  ASSERT_TRUE(Push(stub_.get(), PushOf(job, 0, 1, 2, *joined)).ok());  // with the initial bias, still
  v1::PushRequest lost = PushOf(job, 0, 1, 3, *joined);
  lost.set_counts_lost(true);
  lost.clear_valid_tokens();
  lost.clear_short_slots();
  lost.clear_routed();
  ASSERT_TRUE(Push(stub_.get(), lost).ok());
  // The page is published after the answer: a later call of the same queue orders the two.
  v1::ListJobsResponse response;
  ASSERT_TRUE(stub_->ListJobs(&context_, v1::ListJobsRequest(), &response).ok());
  const absl::StatusOr<std::string> page = HttpGet(process_->metrics_address(), "/metrics");
  ASSERT_TRUE(page.ok()) << page.status();
  for (const char* series :
       {"evenkeel_job_step{job=\"seen\"} 3", "evenkeel_pushes_total{job=\"seen\",result=\"accepted\"} 3",
        "evenkeel_step_commit_seconds_count{job=\"seen\"} 3", "evenkeel_staleness_steps{job=\"seen\"} 0",
        "evenkeel_stale_commits_total{job=\"seen\"} 1", "evenkeel_lost_contributions_total{job=\"seen\"} 1",
        "evenkeel_layer_max_violation_ratio{job=\"seen\",layer=\"a\"}"}) {
    EXPECT_THAT(*page, HasSubstr(series));
  }
}

}  // namespace
}  // namespace evenkeel::tests
