#include "tools/watch/poller.h"

#include <grpcpp/grpcpp.h>
#include <poll.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;

// Has the jobs "a" and "b"; "b" may have failed; and may take for ever to describe a job.
class FakeCoordinator : public v1::BiasCoordinator::Service {
 public:
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*, v1::ListJobsResponse* response) override {
    MutexLock lock(&mutex_);
    response->add_jobs()->set_name("a");
    response->add_jobs()->set_name("b");
    if (has_failed_) response->mutable_jobs(1)->set_failure("contributor 1 is lost");
    return grpc::Status::OK;
  }

  grpc::Status DescribeJob(grpc::ServerContext* context, const v1::DescribeJobRequest* request,
                           v1::DescribeJobResponse* response) override {
    MutexLock lock(&mutex_);
    is_asked_ = true;
    asked_.NotifyAll();
    while (hangs_ && !context->IsCancelled()) {
      asked_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + std::chrono::milliseconds(10));
    }
    response->mutable_summary()->set_name(request->job());
    return grpc::Status::OK;
  }

  void Fail() {
    MutexLock lock(&mutex_);
    has_failed_ = true;
  }

  void Hang() {
    MutexLock lock(&mutex_);
    hangs_ = true;
    is_asked_ = false;
  }

  void AwaitCall() {
    MutexLock lock(&mutex_);
    while (!is_asked_) asked_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar asked_;
  bool has_failed_ ABSL_GUARDED_BY(mutex_) = false;
  bool hangs_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_asked_ ABSL_GUARDED_BY(mutex_) = false;
};

class PollerTest : public testing::Test {
 protected:
  PollerTest() {
    Serve("127.0.0.1:0");
    options_.timeout = 300;
  }

  void Serve(const std::string& address) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    options_.address = absl::StrCat("127.0.0.1:", port);
  }

  static WatchAnswer Next(WatchPoller* poller) {
    pollfd waited = {poller->descriptor(), POLLIN, 0};
    EXPECT_EQ(poll(&waited, 1, /*timeout=*/60000), 1);
    return poller->Take();
  }

  FakeCoordinator service_;
  std::unique_ptr<grpc::Server> server_;
  CoordinatorOptions options_;
};

TEST_F(PollerTest, WhatWasTheFirstJobStaysTheOneShown) {
  WatchPoller poller(options_, absl::Milliseconds(1), "");
  EXPECT_EQ(Next(&poller).job, "a");
  service_.Fail();
  WatchAnswer answer = Next(&poller);
  while (answer.jobs[0] == "a") answer = Next(&poller);
  EXPECT_THAT(answer.jobs, ElementsAre("b", "a"));
  EXPECT_EQ(answer.job, "a");
  EXPECT_EQ(answer.description.summary().name(), "a");
}

TEST_F(PollerTest, AChoiceIsAnsweredAtOnce) {
  WatchPoller poller(options_, absl::Hours(1), "a");
  EXPECT_EQ(Next(&poller).job, "a");
  poller.Choose("b");
  EXPECT_EQ(Next(&poller).job, "b");
}

TEST_F(PollerTest, ACallThatHangsDoesNotKeepItsEnd) {
  service_.Hang();
  const WatchPoller poller(options_, absl::Hours(1), "a");
  service_.AwaitCall();
  // And now it goes, long before the call's time is up.
}

TEST_F(PollerTest, ACoordinatorThatComesBackIsFound) {
  WatchCaller caller(options_, /*with_loads=*/true);
  EXPECT_TRUE(caller.Ask("a").status.ok());
  const std::string address = options_.address;
  server_->Shutdown();
  server_.reset();
  EXPECT_EQ(caller.Ask("a").status.code(), absl::StatusCode::kUnavailable);
  Serve(address);
  WatchAnswer answer = caller.Ask("a");
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.job, "a");
}

}  // namespace
}  // namespace evenkeel::tools
