#include "tools/top_experts_command.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/snapshot.h"
#include "tools/test_job.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class FakeCoordinator : public v1::BiasCoordinator::Service {
 public:
  explicit FakeCoordinator(v1::Snapshot snapshot) : snapshot_(std::move(snapshot)) {}

  grpc::Status GetState(grpc::ServerContext*, const v1::GetStateRequest* request,
                        v1::GetStateResponse* response) override {
    if (request->job() != "pretrain") {
      return ToGrpcStatus(ServiceError(absl::StatusCode::kNotFound, v1::ErrorDetail::JOB_UNKNOWN, "no such job"));
    }
    *response->mutable_snapshot() = snapshot_;
    return grpc::Status::OK;
  }

 private:
  const v1::Snapshot snapshot_;
};

v1::JobState State() {
  v1::JobState state = TestState(TestSpec({"a", "b"}), {{-.5f, .25f, .125f, .125f}, {0, 0, 0, 0}});
  for (int i = 0; i < 4; ++i) {
    state.mutable_layers(0)->set_last_counts(i, i == 2 ? 70 : 10);
    state.mutable_layers(1)->set_last_counts(i, i == 1 ? 0 : 20);
  }
  return state;
}

class TopExpertsCommandTest : public testing::Test {
 protected:
  TopExpertsCommandTest() : service_(job::MakeSnapshot(State())) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }

  Outcome Run(std::vector<std::string> args) const {
    args.push_back("--coordinator=" + address_);
    return RunCommand(kTopExpertsCommand, args);
  }

  FakeCoordinator service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

TEST_F(TopExpertsCommandTest, TheFullestOfAllLayers) {
  const Outcome outcome = Run({"--job", "pretrain", "--count", "2"});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(outcome.out,
            "job pretrain, step 40: the 2 fullest experts of 2 layers\n"
            "  layer  expert   load  tokens    bias\n"
            "  a           2  2.800      70  0.1250\n"
            "  b           0  1.333      20  0.0000\n");
}

TEST_F(TopExpertsCommandTest, TheEmptiestOfOneLayerAsJson) {
  const Outcome outcome = Run({"--job=pretrain", "--cold", "--layer=a", "--count=1", "--json"});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("{\"job\": \"pretrain\", \"epoch\": 3, \"step\": 40, \"experts\": [\n"
                                      "  {\"layer\": \"a\", \"stream\": 0, \"expert\": 0, \"load\": 0.4"));
  EXPECT_THAT(outcome.out, HasSubstr("\"tokens\": 10, \"bias\": -0.5}]}\n"));
}

TEST_F(TopExpertsCommandTest, WhatIsNotThereIsNamed) {
  const Outcome layer = Run({"--job=pretrain", "--layer=c"});
  EXPECT_EQ(layer.code, kExitFailed);
  EXPECT_THAT(layer.err, StartsWith("evenkeel top-experts: --layer: the job has no layer \"c\"; "));
  const Outcome job = Run({"--job=pretrian"});
  EXPECT_EQ(job.code, kExitFailed);
  EXPECT_THAT(job.err, HasSubstr("no such job; 'evenkeel status'"));
}

TEST_F(TopExpertsCommandTest, WrongCommandLinesExitWith2) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{}, {"--job=x", "--count=0"}, {"--job=x", "--count=few"}, {"--job=x", "--hot"}}) {
    const Outcome outcome = Run(args);
    EXPECT_EQ(outcome.code, kExitUsage);
    EXPECT_THAT(outcome.err, HasSubstr("Try 'evenkeel top-experts --help'."));
  }
}

}  // namespace
}  // namespace evenkeel::tools
