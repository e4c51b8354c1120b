// Every call of a real evenkeeld over real gRPC, with valid messages that are changed here and there: whatever comes,
// it answers, says why where it refuses, and a job that nobody meddles with goes on.

#include <signal.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/child_process.h"
#include "tests/evenkeeld_process.h"
#include "tests/protocol_client.h"
#include "tests/random_message.h"

namespace evenkeel::tests {
namespace {

constexpr int kCalls = 3000;

class RpcFuzzTest : public ::testing::Test {
 protected:
  void SetUp() override {
    EvenkeeldProcess::Options options;
    options.state_dir = NewFolder("state");
    auto process = EvenkeeldProcess::Start(options);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    stub_ = process_->NewStub();
    const auto joined = Join(stub_.get(), JoinOf(good_, 0, /*incarnation=*/1, 1));
    ASSERT_TRUE(joined.ok()) << joined.status();
    in_force_ = *joined;
    for (const int contributor : {0, 1}) {
      ASSERT_TRUE(Join(stub_.get(), JoinOf(job_, contributor, /*incarnation=*/1, 1)).ok());
    }
  }

  // A call with a few changes of `request` by `choices`. A push may wait in vain; all else is answered.
  template <typename Request, typename Response>
  void Call(grpc::Status (v1::BiasCoordinator::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
            Request request, Choices* choices) {
    for (uint64_t changes = choices->Below(4); changes > 0; --changes) Mutate(choices, &request);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(kWaits<Request> ? 20 : 20'000)));
    Response response;
    const absl::Status status = FromGrpcStatus((stub_.get()->*method)(&context, request, &response));
    refused_ += !status.ok();
    if (status.ok() || (kWaits<Request> && absl::IsDeadlineExceeded(status))) return;
    EXPECT_NE(ReasonOf(status), v1::ErrorDetail::REASON_UNSPECIFIED) << status << "\n" << request.DebugString();
    EXPECT_FALSE(status.message().empty());
  }
  template <typename Request>
  static constexpr bool kWaits =
      std::is_same_v<Request, v1::PushRequest> || std::is_same_v<Request, v1::RendezvousRequest>;

  void AnyCall(Choices* choices) {
    using Stub = v1::BiasCoordinator::Stub;
    const int contributor = static_cast<int>(choices->Below(2));
    switch (choices->Below(9)) {
      case 0:
        return Call(&Stub::Join, JoinOf(job_, contributor, 1 + choices->Below(2), 1), choices);
      case 1:
      case 2:
        return Call(&Stub::Push, PushOf(job_, contributor, 1, 1, in_force_), choices);
      case 3:
        return Call(&Stub::Leave, OfJob<v1::LeaveRequest>(), choices);
      case 4:
        return Call(&Stub::Heartbeat, OfJob<v1::HeartbeatRequest>(), choices);
      case 5:
        return Call(&Stub::UpdateConfig, OfJob<v1::UpdateConfigRequest>(), choices);
      case 6:
        return Call(&Stub::GetState, OfJob<v1::GetStateRequest>(), choices);
      case 7:
        return Call(&Stub::PutState, OfJob<v1::PutStateRequest>(), choices);
      default:
        return Call(&Stub::Rendezvous, OfJob<v1::RendezvousRequest>(), choices);
    }
  }

  template <typename Request>
  Request OfJob() const {
    Request request;
    request.set_job(job_.name());
    return request;
  }

  void GoodStep() {
    const uint64_t step = in_force_.version().version().step() + 1;
    const auto version = Push(stub_.get(), PushOf(good_, 0, /*incarnation=*/1, step, in_force_));
    ASSERT_TRUE(version.ok()) << version.status();
    EXPECT_EQ(version->version().step(), step);
    *in_force_.mutable_version() = *version;
  }

  std::unique_ptr<EvenkeeldProcess> process_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  const v1::JobSpec good_ = SmallJob("good", 1);
  const v1::JobSpec job_ = SmallJob("meddled-with", 2);
  v1::JoinResponse in_force_;
  int refused_ = 0;
};

TEST_F(RpcFuzzTest, WhateverComesIsAnsweredAndOthersGoOn) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int call = 0; call < kCalls && !HasFailure(); ++call) {
    std::string bytes(64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    Choices choices(bytes);
    AnyCall(&choices);
    if (call % 50 == 0) GoodStep();
  }
  std::cout << "fault malformed call: " << kCalls << " injected, " << refused_ << " refused, "
            << in_force_.version().version().step() << " steps of another job went on\n";
  EXPECT_GT(refused_, kCalls / 4);
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait().exit_code, 0);
}

}  // namespace
}  // namespace evenkeel::tests
