#include "client/source/background_source.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "client/source/local_source.h"
#include "client/source/payload_counts.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/reference_model.h"
#include "job/test_messages.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

// What lets the counts of so many steps arrive.
class Device {
 public:
  void Release(int steps) {
    MutexLock lock(&mutex_);
    released_ += steps;
    changed_.NotifyAll();
  }
  void GiveUp() {
    MutexLock lock(&mutex_);
    gone_ = true;
    changed_.NotifyAll();
  }
  absl::Status Await(uint64_t step) {
    MutexLock lock(&mutex_);
    while (released_ < step && !gone_) changed_.Wait(&mutex_);
    return released_ >= step ? absl::OkStatus() : absl::CancelledError("the worker is gone");
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  uint64_t released_ ABSL_GUARDED_BY(mutex_) = 0;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
};

class CountsOfADevice final : public StepCounts {
 public:
  CountsOfADevice(const job::LayerTable& layers, Device* device)
      : StepCounts({layers.total_experts(), layers.size()}), device_(*device) {}
  absl::Status Arrive() override { return device_.Await(step); }

 private:
  Device& device_;
};

class BackgroundSourceTest : public testing::Test {
 protected:
  void Begin(const std::string& preset, int lag, uint64_t one_skip_in = 9) {
    v1::JobSpec spec = job::TestSpec(/*contributors=*/1);
    spec.mutable_balance()->set_preset(preset);
    spec.set_lag(lag);
    plan_ = job::TestPlan(spec);
    model_ = std::make_unique<job::ReferenceModel>(
        &plan_, job::ReferenceModel::Options{/*seed=*/5, {{0, 1}}, one_skip_in, /*scale=*/1});
    source_.reset();
    source_ = std::make_unique<BackgroundSource>(*LocalSource::Make(spec));
    v1::JoinResponse joined;
    ASSERT_TRUE(source_->Join(1, Soon(), &joined).ok());
    ASSERT_EQ(joined.version().version().step(), 0);
  }
  void Push(uint64_t step) { source_->Push(CountsOf(model_->Payload(0, step), step, &pool_)); }

  job::JobPlan plan_ = job::TestPlan(job::TestSpec(1));
  Device device_;
  StepCountsPool pool_{[this] { return std::make_unique<CountsOfADevice>(plan_.layers, &device_); }};
  std::unique_ptr<job::ReferenceModel> model_;
  std::unique_ptr<BackgroundSource> source_;
  v1::CommittedVersion version_;
};

TEST_F(BackgroundSourceTest, HasTheTrajectoryOfTheReferenceAndNothingBeforeItsTime) {
  device_.Release(1'000);
  for (const std::string preset : {"loss_free", "torchtitan", "axolotl_noaux_tc", "evenkeel"}) {
    for (const int lag : {0, 1}) {
      SCOPED_TRACE(preset + (lag == 0 ? "" : ", with a lag"));
      Begin(preset, lag);
      const std::vector<job::JobState> trajectory = model_->Trajectory(60);
      uint64_t given = 0;
      for (uint64_t step = 1; step <= 60; ++step) {
        Push(step);
        // In every third step the trainer is ahead, else the thread is given the time it needs.
        bool is_new = false;
        do {
          const absl::StatusOr<bool> has = source_->Await(step + 1, Soon(), &version_);
          ASSERT_TRUE(has.ok()) << has.status();
          is_new = *has;
          if (!is_new) continue;
          const uint64_t made = version_.version().step();
          ASSERT_GT(made, given);
          ASSERT_LE(made, step - lag) << "nothing newer than what is due";
          ASSERT_EQ(version_.state_hash(), job::StateHash(trajectory[made])) << "step " << made;
          given = made;
        } while (step % 3 != 0 && given + lag < step);
      }
      const absl::StatusOr<bool> last = source_->Leave(Soon(), &version_);
      ASSERT_TRUE(last.ok()) << last.status();
      EXPECT_EQ(*last, given < 60);
      EXPECT_EQ(version_.version().step(), 60);
      EXPECT_EQ(version_.state_hash(), job::StateHash(trajectory[60]));
      EXPECT_EQ(source_->Leave(Soon(), &version_), absl::StatusOr<bool>(false));
    }
  }
}

TEST_F(BackgroundSourceTest, WaitsForNoCountsButToLeave) {
  Begin("evenkeel", 0);
  for (uint64_t step = 1; step <= 5; ++step) {
    Push(step);
    EXPECT_EQ(source_->Await(step + 1, Deadline(), &version_), absl::StatusOr<bool>(false));
  }
  EXPECT_EQ(source_->backlog().undelivered, 0);
  const absl::Status early = source_->Leave(Deadline(), &version_).status();
  EXPECT_EQ(early.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(early.message()), HasSubstr("the counts of 5 steps are still on the device"));
  std::thread device([this] { device_.Release(5); });
  EXPECT_EQ(source_->Leave(Soon(), &version_), absl::StatusOr<bool>(true));
  device.join();
  EXPECT_EQ(version_.state_hash(), job::StateHash(model_->Trajectory(5)[5]));
}

TEST_F(BackgroundSourceTest, AnErrorIsForGood) {
  Begin("evenkeel", 0);
  device_.GiveUp();
  for (uint64_t step = 1; step <= 3; ++step) Push(step);
  absl::Status status;
  while (status.ok()) status = source_->Await(4, Soon(), &version_).status();
  EXPECT_EQ(status, absl::CancelledError("the worker is gone"));
  EXPECT_EQ(source_->Leave(Soon(), &version_).status(), status);
  device_.Release(1'000);
  Push(4);
  EXPECT_EQ(source_->Await(5, Soon(), &version_).status(), status);
}

TEST_F(BackgroundSourceTest, WhatADeviceRefusedIsAnError) {
  Begin("evenkeel", 0);
  device_.Release(1);
  StepCountsPtr counts = CountsOf(model_->Payload(0, 1), 1, &pool_);
  counts->mutable_totals()[1].refused = 3;
  source_->Push(std::move(counts));
  const absl::Status status = source_->Leave(Soon(), &version_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("in step 1 3 rows"));
}

TEST_F(BackgroundSourceTest, EndsWithCountsThatNeverArrive) {
  for (int round = 0; round < 50; ++round) {
    Begin("evenkeel", 0);
    for (uint64_t step = 1; step <= 4; ++step) Push(step);
    device_.Release(round % 2);
    device_.GiveUp();
    source_.reset();
  }
}

TEST_F(BackgroundSourceTest, RefusesAsTheInnerOne) {
  BackgroundSource source(*LocalSource::Make(plan_.effective));
  v1::JoinResponse joined;
  EXPECT_EQ(source.Join(101, Soon(), &joined).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace evenkeel::client
