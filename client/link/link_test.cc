#include "client/link/link.h"

#include <chrono>
#include <future>
#include <memory>
#include <string>

#include "base/error_detail.h"
#include "base/status_macros.h"
#include "client/link/scripted_coordinator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kIncarnation = 0xfeed;

v1::JoinRequest JoinOfOneContributor() {
  v1::JoinRequest join;
  join.set_protocol_version(1);
  join.mutable_job()->set_name("run");
  join.mutable_job()->set_contributors(1);
  for (const char* name : {"blocks.0.gate", "blocks.1.gate"}) {
    v1::LayerSpec* layer = join.mutable_job()->add_layers();
    layer->set_name(name);
    layer->set_num_experts(4);
    layer->set_top_k(2);
  }
  join.set_incarnation(kIncarnation);
  return join;
}

v1::PushRequest PushOf(uint64_t step) {
  v1::PushRequest push;
  push.set_job("run");
  push.set_incarnation(kIncarnation);
  push.set_step(step);
  push.set_ok(true);
  push.mutable_routed_with()->set_epoch(1);
  push.mutable_routed_with()->set_step(step - 1);
  for (const uint64_t tokens : {3, 5}) push.add_valid_tokens(tokens);
  for (const uint32_t count : {3, 1, 2, 0, 5, 5, 0, 0}) push.mutable_routed()->add_low(count);
  return push;
}

// What a repetition must repeat.
std::string WithoutEpoch(v1::PushRequest push) {
  push.clear_epoch();
  return push.SerializeAsString();
}

Deadline In(milliseconds wait) { return std::chrono::steady_clock::now() + wait; }
// Never reached, unless the test fails.
Deadline Patiently() { return In(std::chrono::seconds(30)); }

class LinkTest : public ::testing::Test {
 protected:
  static LinkOptions Options() {
    LinkOptions options;
    options.backoff = {milliseconds(1), milliseconds(20)};
    return options;
  }

  absl::Status JoinAt(uint64_t next_step, Deadline deadline) {
    v1::JoinResponse response;
    const absl::Status status = link_->Join(next_step, deadline, &response);
    if (status.ok()) version_ = response.version();
    return status;
  }

  void Join() {
    link_ = std::make_unique<Link>(coordinator_.address(), JoinOfOneContributor(), Options());
    ASSERT_TRUE(JoinAt(1, Patiently()).ok());
  }

  absl::Status Deliver(uint64_t step, Deadline deadline = Patiently()) {
    push_ = PushOf(step);
    return link_->Deliver(deadline, &push_, &version_);
  }

  // While the test goes on.
  std::future<absl::Status> BeginToDeliver(uint64_t step) {
    return std::async(std::launch::async, [this, step] { return Deliver(step); });
  }

  // That the version which arrived is the honest one.
  void ExpectVersion(uint64_t epoch, uint64_t step) {
    const v1::CommittedVersion honest = coordinator_.VersionOf(epoch, step);
    EXPECT_EQ(version_.version().epoch(), epoch);
    EXPECT_EQ(version_.version().step(), step);
    EXPECT_EQ(version_.state_hash(), honest.state_hash());
    EXPECT_EQ(version_.bias(0), honest.bias(0));
  }

  // That all pushes said the same of `step`.
  void ExpectIdenticalPushes(uint64_t step, size_t count) {
    const std::vector<v1::PushRequest> pushes = coordinator_.Pushes();
    EXPECT_EQ(pushes.size(), count);
    for (const v1::PushRequest& push : pushes) EXPECT_EQ(WithoutEpoch(push), WithoutEpoch(PushOf(step)));
  }

  ScriptedCoordinator coordinator_;
  std::unique_ptr<Link> link_;
  v1::PushRequest push_;
  v1::CommittedVersion version_;
};

TEST_F(LinkTest, JoinsPushesAndLeaves) {
  Join();
  ExpectVersion(1, 0);
  for (uint64_t step = 1; step <= 5; ++step) {
    ASSERT_TRUE(Deliver(step).ok());
    ExpectVersion(1, step);
  }
  EXPECT_EQ(coordinator_.Pushes().size(), 5);
  EXPECT_EQ(coordinator_.Pushes().front().epoch(), 1);
  ASSERT_TRUE(link_->Leave(Patiently()).ok());
  ASSERT_EQ(coordinator_.Leaves().size(), 1);
  EXPECT_EQ(coordinator_.Leaves().front().job(), "run");
  EXPECT_EQ(coordinator_.Leaves().front().incarnation(), kIncarnation);
}

TEST_F(LinkTest, JoinsOnceTheCoordinatorIsThere) {
  coordinator_.Stop();
  link_ = std::make_unique<Link>(coordinator_.address(), JoinOfOneContributor(), Options());
  EXPECT_EQ(JoinAt(1, In(milliseconds(50))).code(), absl::StatusCode::kDeadlineExceeded);
  coordinator_.Start(/*epoch=*/1);
  ASSERT_TRUE(JoinAt(1, Patiently()).ok());
  ExpectVersion(1, 0);
}

TEST_F(LinkTest, WhatTheTransportLosesIsPushedAgain) {
  Join();
  for (const absl::StatusCode code :
       {absl::StatusCode::kUnavailable, absl::StatusCode::kInternal, absl::StatusCode::kUnknown}) {
    coordinator_.ScriptPush(
        [code](const v1::PushRequest&, v1::CommittedVersion*) { return absl::Status(code, "the wire broke"); });
  }
  ASSERT_TRUE(Deliver(1).ok());
  ExpectVersion(1, 1);
  ExpectIdenticalPushes(1, 4);
}

TEST_F(LinkTest, ALostReplyIsAskedForAgain) {
  Join();
  coordinator_.ScriptPush([this](const v1::PushRequest& push, v1::CommittedVersion* version) {
    EXPECT_TRUE(coordinator_.AnswerPush(push, version).ok());
    return absl::UnavailableError("committed, and then the connection broke");
  });
  ASSERT_TRUE(Deliver(1).ok());
  ExpectVersion(1, 1);
  ExpectIdenticalPushes(1, 2);
}

TEST_F(LinkTest, AnAnswerThatDoesNotComeIsAskedForAgain) {
  LinkOptions options = Options();
  options.attempt_timeout = milliseconds(50);
  link_ = std::make_unique<Link>(coordinator_.address(), JoinOfOneContributor(), options);
  ASSERT_TRUE(JoinAt(1, Patiently()).ok());
  coordinator_.ScriptPush([this](const v1::PushRequest&, v1::CommittedVersion*) { return coordinator_.Park(); });
  ASSERT_TRUE(Deliver(1).ok());
  ExpectVersion(1, 1);
}

TEST_F(LinkTest, ARestartedCoordinatorIsJoinedAndPushedToAgain) {
  Join();
  coordinator_.ScriptPush([this](const v1::PushRequest&, v1::CommittedVersion*) { return coordinator_.Park(); });
  std::future<absl::Status> delivery = BeginToDeliver(1);
  coordinator_.AwaitPushes(1);
  coordinator_.Stop();
  coordinator_.Start(/*epoch=*/2);
  ASSERT_TRUE(delivery.get().ok());
  ExpectVersion(2, 1);

  ASSERT_EQ(coordinator_.Joins().size(), 2);
  EXPECT_EQ(coordinator_.Joins()[1].incarnation(), kIncarnation);
  EXPECT_EQ(coordinator_.Joins()[1].next_step(), 1);
  EXPECT_EQ(coordinator_.Pushes().back().epoch(), 2);
  ExpectIdenticalPushes(1, coordinator_.Pushes().size());

  ASSERT_TRUE(Deliver(2).ok());
  ExpectVersion(2, 2);
}

TEST_F(LinkTest, ACommitWhoseReplyDiedWithTheCoordinatorComesWithTheJoin) {
  Join();
  coordinator_.ScriptPush([this](const v1::PushRequest& push, v1::CommittedVersion* version) {
    EXPECT_TRUE(coordinator_.AnswerPush(push, version).ok());
    return coordinator_.Park();
  });
  std::future<absl::Status> delivery = BeginToDeliver(1);
  coordinator_.AwaitPushes(1);
  coordinator_.Stop();
  coordinator_.Start(/*epoch=*/2);
  ASSERT_TRUE(delivery.get().ok());
  // Committed in epoch 1: nothing was counted in epoch 2.
  ExpectVersion(1, 1);
  for (const v1::PushRequest& push : coordinator_.Pushes()) EXPECT_EQ(push.epoch(), 1);
}

TEST_F(LinkTest, WhoIsNotKnownJoinsAgain) {
  Join();
  coordinator_.ScriptPush([](const v1::PushRequest&, v1::CommittedVersion*) {
    return ServiceError(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::NOT_JOINED, "join first");
  });
  coordinator_.ScriptPush([](const v1::PushRequest&, v1::CommittedVersion*) {
    return ServiceError(absl::StatusCode::kNotFound, v1::ErrorDetail::JOB_UNKNOWN, "no such job");
  });
  ASSERT_TRUE(Deliver(1).ok());
  ExpectVersion(1, 1);
  EXPECT_GE(coordinator_.Joins().size(), 2);
  ExpectIdenticalPushes(1, 3);
}

TEST_F(LinkTest, AStaleCoordinatorIsAskedUntilItIsGone) {
  Join();
  coordinator_.Stop();
  coordinator_.Start(/*epoch=*/3);
  ASSERT_TRUE(Deliver(1).ok());
  ExpectVersion(3, 1);

  // The one of epoch 2 does not know that it has been succeeded.
  coordinator_.Stop();
  coordinator_.Start(/*epoch=*/2);
  std::future<absl::Status> delivery = BeginToDeliver(2);
  coordinator_.AwaitPushes(3);
  coordinator_.Stop();
  coordinator_.Start(/*epoch=*/4);
  ASSERT_TRUE(delivery.get().ok());
  ExpectVersion(4, 2);
}

TEST_F(LinkTest, RepliesOfALowerEpochAreRefused) {
  Join();
  coordinator_.Stop();
  coordinator_.Start(/*epoch=*/3);
  ASSERT_TRUE(Deliver(1).ok());

  coordinator_.ScriptPush([this](const v1::PushRequest&, v1::CommittedVersion* version) {
    *version = coordinator_.VersionOf(2, 2);
    return absl::OkStatus();
  });
  ASSERT_TRUE(Deliver(2).ok());
  ExpectVersion(3, 2);

  // A coordinator that is asked to let this worker join again, and is behind what the refusal told of.
  coordinator_.ScriptPush([](const v1::PushRequest&, v1::CommittedVersion*) {
    v1::ErrorDetail detail;
    detail.set_reason(v1::ErrorDetail::STALE_EPOCH);
    detail.set_epoch(5);
    return ServiceError(absl::StatusCode::kFailedPrecondition, detail, "join again");
  });
  const absl::Status status = Deliver(3, In(milliseconds(300)));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("stale"), HasSubstr("epoch 3"), HasSubstr("epoch 5")));
}

TEST_F(LinkTest, LeavingIsBoundAndMayBeRepeated) {
  Join();
  coordinator_.Stop();
  const absl::Status status = link_->Leave(In(milliseconds(50)));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr(coordinator_.address()));
  coordinator_.Start(/*epoch=*/2);
  EXPECT_TRUE(link_->Leave(Patiently()).ok());
  EXPECT_EQ(coordinator_.Leaves().size(), 1);
}

TEST_F(LinkTest, ANewerIncarnationEndsIt) {
  Join();
  coordinator_.ScriptPush([](const v1::PushRequest&, v1::CommittedVersion*) {
    return ServiceError(absl::StatusCode::kAlreadyExists, v1::ErrorDetail::REPLACED, "a newer incarnation");
  });
  EXPECT_EQ(Deliver(1).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(coordinator_.Pushes().size(), 1);
}

// Another service at the coordinator's address: it knows nothing of ErrorDetail.
TEST_F(LinkTest, AStrangerIsAskedUntilItIsGone) {
  Join();
  for (const absl::StatusCode code : {absl::StatusCode::kUnimplemented, absl::StatusCode::kPermissionDenied}) {
    coordinator_.ScriptPush([code](const auto&, auto*) { return absl::Status(code, "what do you want?"); });
  }
  EXPECT_EQ(Deliver(1), absl::OkStatus());
  EXPECT_EQ(coordinator_.Pushes().size(), 3);
  EXPECT_THAT(std::string(link_->obstacle().message()),
              AllOf(HasSubstr("is not the coordinator"), HasSubstr("PERMISSION_DENIED: what do you want?")));
}

// Who asks at a wrong address is to hear of it.
TEST_F(LinkTest, AStrangerIsNotJoined) {
  coordinator_.ScriptJoin([](const auto&, auto*) { return absl::UnimplementedError("what do you want?"); });
  link_ = std::make_unique<Link>(coordinator_.address(), JoinOfOneContributor(), Options());
  EXPECT_EQ(JoinAt(1, Patiently()).code(), absl::StatusCode::kUnimplemented);
}

TEST_F(LinkTest, ARefusedJoinIsFinal) {
  coordinator_.ScriptJoin([](const v1::JoinRequest&, v1::JoinResponse*) {
    return ServiceError(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::STEP_BEHIND, "step 8 is open");
  });
  link_ = std::make_unique<Link>(coordinator_.address(), JoinOfOneContributor(), Options());
  const absl::Status status = JoinAt(7, Patiently());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::STEP_BEHIND);
  EXPECT_EQ(coordinator_.Joins().size(), 1);
}

TEST_F(LinkTest, ADamagedBiasIsRefused) {
  Join();
  coordinator_.ScriptPush([this](const v1::PushRequest& push, v1::CommittedVersion* version) {
    EXPECT_TRUE(coordinator_.AnswerPush(push, version).ok());
    version->set_bias(5, version->bias(5) + 1);
    return absl::OkStatus();
  });
  const absl::Status status = Deliver(1);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("blocks.1.gate"));
}

TEST_F(LinkTest, ADamagedJoinIsRefused) {
  coordinator_.ScriptJoin([this](const v1::JoinRequest& join, v1::JoinResponse* response) {
    EXPECT_TRUE(coordinator_.AnswerJoin(join, response).ok());
    response->mutable_effective()->mutable_layers(0)->set_name("blocks.9.gate");
    return absl::OkStatus();
  });
  link_ = std::make_unique<Link>(coordinator_.address(), JoinOfOneContributor(), Options());
  const absl::Status status = JoinAt(1, Patiently());
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("blocks.9.gate"));
}

TEST_F(LinkTest, AVersionOfAnEarlierStepIsNoAnswer) {
  Join();
  coordinator_.ScriptPush([this](const v1::PushRequest&, v1::CommittedVersion* version) {
    *version = coordinator_.VersionOf(1, 0);
    return absl::OkStatus();
  });
  EXPECT_EQ(Deliver(1).code(), absl::StatusCode::kDataLoss);
}

TEST_F(LinkTest, SaysThatItIsAliveWhateverPushesDo) {
  coordinator_.ScriptJoin([this](const auto& request, auto* response) {
    EVENKEEL_RETURN_IF_ERROR(coordinator_.AnswerJoin(request, response));
    response->mutable_effective()->mutable_membership()->set_heartbeat_timeout_ms(200);
    return absl::OkStatus();
  });
  coordinator_.ScriptPush([this](const auto&, auto*) { return coordinator_.Park(); });
  Join();
  std::future<absl::Status> delivery = BeginToDeliver(1);
  coordinator_.AwaitPushes(1);
  for (const v1::HeartbeatRequest& heartbeat : coordinator_.AwaitHeartbeats(5)) {
    EXPECT_EQ(heartbeat.job(), "run");
    EXPECT_EQ(heartbeat.contributor(), 0);
    EXPECT_EQ(heartbeat.incarnation(), kIncarnation);
    EXPECT_EQ(heartbeat.epoch(), 1u);
  }
  link_->Stop();
  EXPECT_EQ(delivery.get().code(), absl::StatusCode::kCancelled);
}

TEST_F(LinkTest, HeartbeatsBringTheFiguresOfTheCommitsSinceTheLast) {
  coordinator_.ScriptJoin([this](const auto& request, auto* response) {
    EVENKEEL_RETURN_IF_ERROR(coordinator_.AnswerJoin(request, response));
    response->mutable_effective()->mutable_membership()->set_heartbeat_timeout_ms(200);
    return absl::OkStatus();
  });
  Join();
  EXPECT_FALSE(coordinator_.AwaitHeartbeats(1).front().has_figures());
  WorkerFigures figures;
  figures.step = 7;
  figures.undelivered_steps = 2;
  figures.commit_host_time = std::chrono::milliseconds(10);
  link_->Tell(figures);
  figures.step = 8;
  figures.undelivered_steps = 3;
  figures.commit_host_time = std::chrono::milliseconds(30);
  figures.counting = Counting::kReplay;
  link_->Tell(figures);

  // Of both together, or, where a beat came between them, of one after the other.
  std::vector<uint64_t> means;
  uint64_t longest = 0;
  v1::WorkerFigures last;
  for (size_t count = 2; longest < 30'000'000; ++count) {
    last = coordinator_.AwaitHeartbeats(count)[count - 1].figures();
    if (last.commit_host_ns() > 0) means.push_back(last.commit_host_ns());
    longest = std::max(longest, last.max_commit_host_ns());
  }
  EXPECT_THAT(means, testing::AnyOf(testing::ElementsAre(20'000'000), testing::ElementsAre(10'000'000, 30'000'000)));
  EXPECT_EQ(longest, 30'000'000u);
  EXPECT_EQ(last.undelivered_steps(), 3u);
  EXPECT_EQ(last.counting_mode(), "replay");
}

TEST_F(LinkTest, WhoComesBetweenStepsWaitsForItsOwn) {
  for (int i = 0; i < 2; ++i) {
    coordinator_.ScriptJoin([this](const auto& request, auto* response) {
      EVENKEEL_RETURN_IF_ERROR(coordinator_.AnswerJoin(request, response));
      response->set_open_step(request.next_step() - 1);
      return absl::OkStatus();
    });
  }
  Join();
  EXPECT_EQ(coordinator_.Joins().size(), 3u);
}

TEST_F(LinkTest, DeliveryIsBoundAndMayBeRepeated) {
  Join();
  coordinator_.ScriptPush([this](const v1::PushRequest&, v1::CommittedVersion*) { return coordinator_.Park(); });
  const absl::Status status = Deliver(1, In(milliseconds(20)));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr(coordinator_.address()));
  ASSERT_TRUE(Deliver(1).ok());
  EXPECT_EQ(version_.version().step(), 1);
  ExpectIdenticalPushes(1, 2);
}

TEST_F(LinkTest, AJoinWithoutACoordinatorSaysWhatItMet) {
  coordinator_.Stop();
  link_ = std::make_unique<Link>(coordinator_.address(), JoinOfOneContributor(), Options());
  const absl::Status status = JoinAt(1, In(milliseconds(200)));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(coordinator_.address()), HasSubstr("UNAVAILABLE")));
}

TEST_F(LinkTest, TheChannelHoldsTheReplyOfALargeJob) {
  v1::JoinRequest join = JoinOfOneContributor();
  for (int i = 0; i < 80; ++i) {
    v1::LayerSpec* layer = join.mutable_job()->add_layers();
    layer->set_name("large." + std::to_string(i));
    layer->set_num_experts(16384);
    layer->set_top_k(8);
  }
  link_ = std::make_unique<Link>(coordinator_.address(), join, Options());
  ASSERT_TRUE(JoinAt(1, Patiently()).ok());
  EXPECT_GT(version_.ByteSizeLong(), 4 << 20) << "gRPC's default limit";
}

TEST_F(LinkTest, StopBreaksOffADelivery) {
  Join();
  coordinator_.ScriptPush([this](const v1::PushRequest&, v1::CommittedVersion*) { return coordinator_.Park(); });
  std::future<absl::Status> delivery = BeginToDeliver(1);
  coordinator_.AwaitPushes(1);
  // Would otherwise wait for the attempt's 30 s, or for ever.
  link_->Stop();
  EXPECT_EQ(delivery.get().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Deliver(1).code(), absl::StatusCode::kCancelled) << "and every later one";
  EXPECT_EQ(coordinator_.Pushes().size(), 1);
}

TEST_F(LinkTest, StopBreaksOffAPause) {
  LinkOptions options = Options();
  options.backoff = {std::chrono::minutes(10), std::chrono::minutes(10)};
  link_ = std::make_unique<Link>(coordinator_.address(), JoinOfOneContributor(), options);
  ASSERT_TRUE(JoinAt(1, Patiently()).ok());
  coordinator_.ScriptPush(
      [](const v1::PushRequest&, v1::CommittedVersion*) { return absl::UnavailableError("not now"); });
  std::future<absl::Status> delivery = BeginToDeliver(1);
  coordinator_.AwaitPushes(1);
  link_->Stop();
  EXPECT_EQ(delivery.get().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Deliver(1).code(), absl::StatusCode::kCancelled) << "and every later one";
  EXPECT_EQ(coordinator_.Pushes().size(), 1);
}

}  // namespace
}  // namespace evenkeel::client
