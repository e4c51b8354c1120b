// A client without manners: it sends every push several times at once over several connections, old ones again, out of
// order, and mixed with those of incarnations, epochs and steps that are not theirs. What is summed, and every answer,
// is as the contract has it.

#include <signal.h>

#include <algorithm>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/evenkeeld_process.h"
#include "tests/fault_tally.h"
#include "tests/protocol_client.h"
#include "tests/push_metric.h"

namespace evenkeel::tests {
namespace {

using Reason = v1::ErrorDetail;

constexpr int kContributors = 3;
constexpr int kConnections = 4;
constexpr uint64_t kStranger = 999'999;

// One message to send, and what must come of it.
struct Message {
  v1::PushRequest push;
  // REASON_UNSPECIFIED: the version of this step, or where it is late, a newer one.
  Reason::Reason reason = Reason::REASON_UNSPECIFIED;
  bool is_late = false;
};

class DuplicatePushTest : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { tally_.Print(); }

  void SetUp() override {
    options_.state_dir = NewFolder("state");
    Start();
  }

  void Start() {
    absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(options_);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    options_.listen = process_->address();
    // Calls of the last life may be on their way yet, and come to this one.
    for (auto& stub : stubs_) retired_.push_back(std::move(stub));
    stubs_.clear();
    for (int i = 0; i < kConnections; ++i) stubs_.push_back(process_->NewStub());
  }

  void Seed(uint64_t seed) {
    std::cout << "seed " << seed << "\n";
    random_.seed(seed);
  }
  uint64_t Draw(uint64_t first, uint64_t last) { return first + random_() % (last - first + 1); }
  v1::BiasCoordinator::Stub* AnyStub() { return stubs_[Draw(0, kConnections - 1)].get(); }

  // As this incarnation, from `step` on.
  void MustJoin(int contributor, uint64_t incarnation, uint64_t step) {
    const absl::StatusOr<v1::JoinResponse> joined = Join(AnyStub(), JoinOf(job_, contributor, incarnation, step));
    ASSERT_TRUE(joined.ok()) << joined.status();
    incarnations_[contributor] = incarnation;
    joined_[contributor] = *joined;
  }

  void ReplaceIncarnation(int contributor, uint64_t step) {
    replaced_.emplace_back(contributor, incarnations_[contributor]);
    history_.erase(contributor);  // it is another's
    MustJoin(contributor, incarnations_[contributor] + 100, step);
  }

  v1::PushRequest PushIn(int contributor, uint64_t step) const {
    v1::PushRequest push = PushOf(job_, contributor, incarnations_[contributor], step, joined_[contributor]);
    *push.mutable_routed_with() = newest_.version();
    return push;
  }

  void AddMessage(const std::string& kind, Message message, std::vector<Message>* messages) {
    messages->push_back(std::move(message));
    tally_.Add(kind);
  }

  // Pushes of `step`, several times each, and what does not belong there.
  std::vector<Message> MessagesOf(uint64_t step) {
    std::vector<Message> messages;
    for (int contributor = 0; contributor < kContributors; ++contributor) {
      const v1::PushRequest push = PushIn(contributor, step);
      messages.push_back({push});
      for (uint64_t copy = Draw(0, 5); copy > 0; --copy) AddMessage("push sent again at once", {push}, &messages);
      for (const auto& [old_step, old] : history_[contributor]) {
        if (Draw(0, 3) > 0) continue;
        Message late = {old, Reason::REASON_UNSPECIFIED, /*is_late=*/true};
        if (Draw(0, 1) == 0) late.push.set_epoch(push.epoch());
        if (late.push.epoch() < push.epoch()) late.reason = Reason::STALE_EPOCH;
        AddMessage("old push sent again", late, &messages);
      }
      Message strange = {push, Reason::NOT_JOINED};
      strange.push.set_incarnation(kStranger);
      AddMessage("push of a stranger", strange, &messages);
      Message ahead = {push, Reason::EPOCH_AHEAD};
      ahead.push.set_epoch(push.epoch() + 1);
      AddMessage("push of another epoch", ahead, &messages);
      Message stale = {push, Reason::STALE_EPOCH};
      stale.push.set_epoch(push.epoch() - 1);
      AddMessage("push of another epoch", stale, &messages);
      // Not the next: that is open as soon as this one is committed.
      AddMessage("push of a step to come", {PushIn(contributor, step + 2), Reason::FUTURE_STEP}, &messages);
    }
    for (const auto& [contributor, incarnation] : replaced_) {
      Message replaced = {PushIn(contributor, step), Reason::REPLACED};
      replaced.push.set_incarnation(incarnation);
      AddMessage("push of an incarnation before", replaced, &messages);
    }
    std::shuffle(messages.begin(), messages.end(), random_);
    return messages;
  }

  void Remember(uint64_t step) {
    for (int contributor = 0; contributor < kContributors; ++contributor) {
      std::map<uint64_t, v1::PushRequest>& history = history_[contributor];
      history[step] = PushIn(contributor, step);
      if (history.size() > 8) history.erase(history.begin());
    }
  }

  // All messages at once, each on any connection; every answer is as it must be.
  void RunStep(uint64_t step) {
    const std::vector<Message> messages = MessagesOf(step);
    std::vector<std::future<absl::StatusOr<v1::CommittedVersion>>> answers;
    for (const Message& message : messages) answers.push_back(PushLater(AnyStub(), message.push));
    std::string bytes;
    for (size_t i = 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      const absl::StatusOr<v1::CommittedVersion> answer = answers[i].get();
      if (message.reason != Reason::REASON_UNSPECIFIED) {
        ASSERT_EQ(ReasonOf(answer.status()), message.reason) << answer.status() << message.push.ShortDebugString();
        continue;
      }
      ASSERT_TRUE(answer.ok()) << answer.status();
      const uint64_t version = answer->version().step();
      if (version == step) {
        // The same to everybody.
        if (bytes.empty()) bytes = answer->SerializeAsString();
        ASSERT_EQ(answer->SerializeAsString(), bytes);
      } else {
        ASSERT_TRUE(message.is_late && version == step - 1) << "step " << step << " is answered with " << version;
        ASSERT_EQ(answer->state_hash(), newest_.state_hash());
      }
    }
    Remember(step);
    ASSERT_TRUE(newest_.ParseFromString(bytes));
    ASSERT_EQ(newest_.state_hash(), RunCalmStep(step)) << "step " << step;
  }

  // The same step of a job of the same counts, each pushed once: the hash of what comes of it.
  uint64_t RunCalmStep(uint64_t step) {
    std::vector<std::future<absl::StatusOr<v1::CommittedVersion>>> answers;
    for (int contributor = 0; contributor < kContributors; ++contributor) {
      const absl::StatusOr<v1::JoinResponse> joined = Join(stubs_[0].get(), JoinOf(calm_, contributor, 1, step));
      EXPECT_TRUE(joined.ok()) << joined.status();
      if (!joined.ok()) return 0;
      answers.push_back(PushLater(stubs_[0].get(), PushOf(calm_, contributor, 1, step, *joined)));
    }
    uint64_t hash = 0;
    for (auto& answer : answers) {
      const absl::StatusOr<v1::CommittedVersion> version = answer.get();
      EXPECT_TRUE(version.ok()) << version.status();
      if (version.ok()) hash = version->state_hash();
    }
    return hash;
  }

  // All of a job's state but its name, and in which epochs it was moved.
  v1::JobState StateOf(const std::string& job) {
    v1::GetStateRequest request;
    request.set_job(job);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::GetStateResponse response;
    EXPECT_TRUE(stubs_[0]->GetState(&context, request, &response).ok());
    v1::JobState state;
    EXPECT_TRUE(state.ParseFromString(response.snapshot().state()));
    state.mutable_spec()->clear_name();
    state.clear_fingerprint();
    state.mutable_version()->clear_epoch();
    state.clear_move();
    return state;
  }

  void ExpectTheStateOfTheCalmJob() {
    EXPECT_EQ(StateOf(job_.name()).DebugString(), StateOf(calm_.name()).DebugString());
    EXPECT_GT(StateOf(job_.name()).ByteSizeLong(), 100);
  }

  const v1::JobSpec job_ = SmallJob("stormy", kContributors);
  const v1::JobSpec calm_ = SmallJob("calm", kContributors);
  EvenkeeldProcess::Options options_;
  std::unique_ptr<EvenkeeldProcess> process_;
  std::vector<std::unique_ptr<v1::BiasCoordinator::Stub>> stubs_;
  std::vector<std::unique_ptr<v1::BiasCoordinator::Stub>> retired_;
  std::mt19937_64 random_;

  // By contributor: who it is now, and what it pushed as that.
  uint64_t incarnations_[kContributors] = {};
  v1::JoinResponse joined_[kContributors];
  std::map<int, std::map<uint64_t, v1::PushRequest>> history_;
  std::vector<std::pair<int, uint64_t>> replaced_;
  v1::CommittedVersion newest_;
  static FaultTally tally_;
};

FaultTally DuplicatePushTest::tally_;

TEST_F(DuplicatePushTest, EveryPushIsCountedOnceAndEveryOtherIsToldWhy) {
  constexpr uint64_t kSteps = 60;
  Seed(81);
  for (int contributor = 0; contributor < kContributors; ++contributor) MustJoin(contributor, 1 + contributor, 1);
  newest_ = joined_[0].version();
  for (uint64_t step = 1; step <= kSteps; ++step) {
    if (step % 12 == 0) ReplaceIncarnation(static_cast<int>(Draw(0, kContributors - 1)), step);
    ASSERT_NO_FATAL_FAILURE(RunStep(step));
  }
  ExpectTheStateOfTheCalmJob();
  EXPECT_EQ(PushesWith(*process_, job_.name(), "accepted"), kContributors * kSteps);
  EXPECT_GT(PushesWith(*process_, job_.name(), "duplicate"), 0);
  EXPECT_GT(PushesWith(*process_, job_.name(), "late"), 0);
}

// And it is killed in the middle of it: what it was sent is sent again, by epochs old and new.
TEST_F(DuplicatePushTest, SoItIsOverTheLivesOfACoordinator) {
  constexpr uint64_t kSteps = 40;
  Seed(82);
  for (int contributor = 0; contributor < kContributors; ++contributor) MustJoin(contributor, 1 + contributor, 1);
  newest_ = joined_[0].version();
  for (uint64_t step = 1; step <= kSteps; ++step) {
    if (step % 4 == 0) {
      // All but one contributor's pushes are there, or on their way.
      std::vector<std::future<absl::StatusOr<v1::CommittedVersion>>> lost;
      for (int contributor = 0; contributor + 1 < kContributors; ++contributor) {
        for (int copy = 0; copy < 3; ++copy) lost.push_back(PushLater(AnyStub(), PushIn(contributor, step)));
      }
      if (step % 8 == 0) {
        ASSERT_EQ(AwaitPushed(stubs_[0].get(), job_.name(), {0, 1}), absl::OkStatus());
      }
      process_->Signal(SIGKILL);
      process_->Wait();
      tally_.Add("SIGKILL of the coordinator among pushes");
      Start();
      for (auto& push : lost) EXPECT_FALSE(push.get().ok());
      for (int contributor = 0; contributor < kContributors; ++contributor) {
        MustJoin(contributor, incarnations_[contributor], step);
      }
    }
    ASSERT_NO_FATAL_FAILURE(RunStep(step));
  }
  ExpectTheStateOfTheCalmJob();
}

}  // namespace
}  // namespace evenkeel::tests
