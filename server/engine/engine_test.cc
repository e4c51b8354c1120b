#include "server/engine/engine.h"

#include <stdlib.h>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_detail.h"
#include "gtest/gtest.h"

namespace evenkeel::engine {
namespace {

using Reply = absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>>;

constexpr int kExperts = 8;

std::string NewStateFolder() {
  std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/engine_XXXXXX");
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

v1::JoinRequest JoinOf(const std::string& job, int contributors, int contributor) {
  v1::JoinRequest request;
  request.set_protocol_version(1);
  request.set_contributor(contributor);
  request.set_incarnation(100 + contributor);
  request.set_next_step(1);
  request.mutable_job()->set_name(job);
  request.mutable_job()->set_contributors(contributors);
  v1::LayerSpec* layer = request.mutable_job()->add_layers();
  layer->set_name("layer");
  layer->set_num_experts(kExperts);
  layer->set_top_k(1);
  return request;
}

// All tokens of a step go to one expert, which depends on job, contributor and step.
v1::PushRequest PushOf(const std::string& job, int contributor, uint64_t step) {
  v1::PushRequest push;
  push.set_job(job);
  push.set_contributor(contributor);
  push.set_incarnation(100 + contributor);
  push.set_epoch(1);
  push.set_step(step);
  push.set_ok(true);
  push.mutable_routed_with()->set_epoch(1);
  push.mutable_routed_with()->set_step(step - 1);
  push.add_valid_tokens(10);
  const size_t chosen = (std::hash<std::string>()(job) + 3 * contributor + step * step) % kExperts;
  for (size_t expert = 0; expert < kExperts; ++expert) push.mutable_routed()->add_low(expert == chosen ? 10 : 0);
  return push;
}

// An engine over a store of its own.
class Bench {
 public:
  Bench() {
    auto store = store::Store::Open(folder_);
    EXPECT_TRUE(store.ok()) << store.status();
    auto engine = Engine::Start(v1::CoordinatorConfig(), *std::move(store), &metrics_, /*recorder=*/nullptr,
                                {[](const LogEvent&) {}, Die});
    EXPECT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  ~Bench() { Stop(); }

  Engine& engine() { return *engine_; }
  const std::string& folder() const { return folder_; }

  void Join(const std::string& job, int contributors) {
    for (int contributor = 0; contributor < contributors; ++contributor) {
      std::promise<absl::Status> joined;
      engine_->Join(JoinOf(job, contributors, contributor),
                    [&](absl::StatusOr<v1::JoinResponse> response) { joined.set_value(response.status()); });
      EXPECT_TRUE(joined.get_future().get().ok());
    }
  }

  // Returns at once.
  std::future<Reply> Push(const v1::PushRequest& push, core::CallId* call = nullptr) {
    auto answered = std::make_shared<std::promise<Reply>>();
    const core::CallId id =
        engine_->Push(push, [answered](Reply reply, bool) { answered->set_value(std::move(reply)); });
    if (call != nullptr) *call = id;
    return answered->get_future();
  }

  absl::StatusOr<v1::GetHistoryResponse> GetHistory(const v1::GetHistoryRequest& request) {
    std::promise<absl::StatusOr<v1::GetHistoryResponse>> told;
    engine_->GetHistory(request, [&](auto response) { told.set_value(std::move(response)); });
    return told.get_future().get();
  }

  void Stop() {
    if (engine_ == nullptr) return;
    engine_->Drain();
    engine_->Stop();
    engine_ = nullptr;
  }

 private:
  static void Die(const absl::Status& status) { ADD_FAILURE() << status; }

  const std::string folder_ = NewStateFolder();
  telemetry::Metrics metrics_;
  std::unique_ptr<Engine> engine_;
};

// The hash of the state after each step, by core alone and in order.
std::vector<uint64_t> HashesOf(const std::string& job, int contributors, uint64_t steps) {
  core::Coordinator coordinator{v1::CoordinatorConfig()};
  core::Effects effects;
  for (int i = 0; i < contributors; ++i)
    EXPECT_TRUE(coordinator.Join(absl::Now(), JoinOf(job, contributors, i), &effects).ok());
  std::vector<uint64_t> hashes;
  for (uint64_t step = 1; step <= steps; ++step) {
    effects = {};
    for (int i = 0; i < contributors; ++i) {
      v1::PushRequest push = PushOf(job, i, step);
      coordinator.Push(absl::UnixEpoch(), /*call=*/i, &push, &effects);
    }
    hashes.push_back((*effects.answers.back().reply)->state_hash());
  }
  return hashes;
}

TEST(EngineTest, PushesOfManyThreadsAllCountAndAreAllAnswered) {
  constexpr int kThreads = 8;
  constexpr uint64_t kSteps = 40;
  const std::vector<std::string> jobs = {"a", "b", "c"};
  Bench bench;
  std::map<std::string, std::vector<uint64_t>> hashes;
  for (const std::string& job : jobs) {
    bench.Join(job, kThreads);
    hashes[job] = HashesOf(job, kThreads, kSteps);
  }
  std::vector<std::thread> threads;
  for (int contributor = 0; contributor < kThreads; ++contributor) {
    threads.emplace_back([&, contributor] {
      for (uint64_t step = 1; step <= kSteps; ++step) {
        std::vector<std::future<Reply>> replies;
        for (const std::string& job : jobs) replies.push_back(bench.Push(PushOf(job, contributor, step)));
        for (size_t i = 0; i < jobs.size(); ++i) {
          const Reply reply = replies[i].get();
          ASSERT_TRUE(reply.ok()) << reply.status();
          EXPECT_EQ((*reply)->version().step(), step);
          EXPECT_EQ((*reply)->participants_size(), kThreads);
          EXPECT_EQ((*reply)->state_hash(), hashes[jobs[i]][step - 1]) << "job " << jobs[i] << ", step " << step;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  bench.Stop();
  const auto store = store::Store::Open(bench.folder());
  ASSERT_TRUE(store.ok()) << store.status();
  const auto records = (*store)->Load();
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), jobs.size());
  for (size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ((*records)[i].state.version().step(), kSteps);
}

// What is decided on the callers' threads is written in the order in which it was decided, whatever the engine's own
// thread decides in between: of one job and step the newest state stays.
TEST(EngineTest, ChangesOfTheConfigAndCommitsAreWrittenInTheirOrder) {
  constexpr uint64_t kSteps = 60;
  Bench bench;
  bench.Join("job", 1);
  std::thread operator_of_it([&] {
    for (int change = 0; change < 30; ++change) {
      v1::UpdateConfigRequest request;
      request.set_job("job");
      request.mutable_balance()->set_rate(0.001f * static_cast<float>(1 + change));
      request.set_note(absl::StrCat(change));
      std::promise<absl::Status> changed;
      bench.engine().UpdateConfig(
          request, [&](absl::StatusOr<v1::UpdateConfigResponse> response) { changed.set_value(response.status()); });
      const absl::Status status = changed.get_future().get();
      EXPECT_TRUE(status.ok()) << status;
    }
  });
  for (uint64_t step = 1; step <= kSteps; ++step) ASSERT_TRUE(bench.Push(PushOf("job", 0, step)).get().ok());
  operator_of_it.join();

  std::promise<std::string> told;
  v1::GetStateRequest request;
  request.set_job("job");
  bench.engine().GetState(request, [&](absl::StatusOr<v1::GetStateResponse> response) {
    told.set_value(response.ok() ? response->snapshot().state() : std::string(response.status().message()));
  });
  const std::string state = told.get_future().get();
  bench.Stop();
  const auto store = store::Store::Open(bench.folder());
  ASSERT_TRUE(store.ok()) << store.status();
  const auto records = (*store)->Load();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ((*records)[0].state.version().step(), kSteps);
  EXPECT_EQ((*records)[0].state.SerializeAsString(), state);
}

TEST(EngineTest, ACancelledPushIsAnsweredAndItsCountsStay) {
  Bench bench;
  bench.Join("job", 2);
  core::CallId call = 0;
  std::future<Reply> cancelled = bench.Push(PushOf("job", 0, 1), &call);
  bench.engine().Cancel(call);
  EXPECT_EQ(cancelled.get().status().code(), absl::StatusCode::kCancelled);
  const Reply reply = bench.Push(PushOf("job", 1, 1)).get();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ((*reply)->state_hash(), HashesOf("job", 2, 1)[0]);
}

TEST(EngineTest, ADrainedEngineAnswersPushesThatWaitAndThoseThatCome) {
  Bench bench;
  bench.Join("job", 2);
  std::future<Reply> waits = bench.Push(PushOf("job", 0, 1));
  bench.engine().Drain();
  EXPECT_EQ(ReasonOf(waits.get().status()), v1::ErrorDetail::SHUTTING_DOWN);
  EXPECT_EQ(ReasonOf(bench.Push(PushOf("job", 1, 1)).get().status()), v1::ErrorDetail::SHUTTING_DOWN);
}

// What is told of a job has every step whose push has been answered.
TEST(EngineTest, TrendsAndHistoryHaveTheStepsThatWereAnswered) {
  Bench bench;
  bench.Join("job", 1);
  for (uint64_t step = 1; step <= 3; ++step) {
    ASSERT_TRUE(bench.Push(PushOf("job", 0, step)).get().ok());
    std::promise<absl::StatusOr<v1::DescribeJobResponse>> described;
    bench.engine().Describe("job", [&](auto response) { described.set_value(std::move(response)); });
    const absl::StatusOr<v1::DescribeJobResponse> description = described.get_future().get();
    ASSERT_TRUE(description.ok()) << description.status();
    EXPECT_EQ(description->layers(0).trend().window_steps(), step);
    EXPECT_GT(description->layers(0).trend().largest_update(), 0);
  }
  v1::GetHistoryRequest request;
  request.set_job("job");
  request.set_layer("layer");
  const auto history = bench.GetHistory(request);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(history->steps_size(), 3);
  EXPECT_EQ(history->bias_size(), 3 * kExperts);
  request.set_layer("other");
  EXPECT_EQ(ReasonOf(bench.GetHistory(request).status()), v1::ErrorDetail::INVALID_FIELD);
  request.set_job("nobody");
  EXPECT_EQ(ReasonOf(bench.GetHistory(request).status()), v1::ErrorDetail::JOB_UNKNOWN);
}

TEST(EngineTest, ARefusedPushIsAnsweredWithItsReason) {
  Bench bench;
  bench.Join("job", 1);
  EXPECT_EQ(ReasonOf(bench.Push(PushOf("nobody", 0, 1)).get().status()), v1::ErrorDetail::JOB_UNKNOWN);
  EXPECT_EQ(ReasonOf(bench.Push(PushOf("job", 0, 2)).get().status()), v1::ErrorDetail::FUTURE_STEP);
}

}  // namespace
}  // namespace evenkeel::engine
