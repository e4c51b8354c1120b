// Who finds out that a collective has not run with all ranks, and when; by a reducer whose collectives the test ends.

#include "client/reduce/event_watch.h"

#include <atomic>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "client/device/test_runtime.h"
#include "client/device/test_stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr milliseconds kLong(600'000);

// What comes after it on a stream waits until it is open.
void EnqueueGate(DeviceStream stream, std::atomic<bool>* open) {
  stream->enqueue(
      stream, [](void* argument) { return static_cast<std::atomic<bool>*>(argument)->load(); }, open);
}

// Rank 1 of 4, whose collectives run once the test says that all have come, or at its abort.
class HeldReducer final : public DeviceReducer {
 public:
  int rank() const override { return 1; }
  int size() const override { return 4; }
  absl::Status EnqueueSum(uint64_t*, size_t, DeviceStream stream) override {
    EnqueueGate(stream, &ends);
    return absl::OkStatus();
  }
  absl::Status EnqueueBroadcast(void*, size_t, DeviceStream) override { return absl::InternalError("not this one"); }
  absl::Status Health() override {
    ++asked;
    if (aborts > 0) return absl::CancelledError("aborted");
    return lost ? absl::UnavailableError("rank 3 is lost") : absl::OkStatus();
  }
  void Abort() override {
    ++aborts;
    ends = true;
  }

  std::atomic<bool> ends = false;
  std::atomic<bool> lost = false;
  std::atomic<int> aborts = 0;
  std::atomic<int> asked = 0;
};

class EventWatchTest : public testing::TestWithParam<bool> {
 protected:
  EventWatchTest() : runtime_(Options()), stream_(runtime_.CreateStream().value()) {}

  static TestRuntimeOptions Options() {
    TestRuntimeOptions options;
    options.threads = GetParam();
    return options;
  }

  absl::Status EnqueueSum(EventWatch* watch) {
    return watch->Enqueue(stream_, [this] { return reducer_.EnqueueSum(nullptr, 0, stream_); });
  }
  // The watch has asked that often again, so that time has passed for it: some 15 ms for 100.
  void LetItAsk(int times) {
    for (const int begun = reducer_.asked; reducer_.asked < begun + times;) std::this_thread::yield();
  }
  absl::Status AwaitError(EventWatch* watch) {
    while (watch->status().ok()) std::this_thread::yield();
    // Its own word, where status() may have been the reducer's.
    while (reducer_.aborts == 0) std::this_thread::yield();
    return watch->status();
  }

  HeldReducer reducer_;
  TestRuntime runtime_;
  const DeviceStream stream_;
};

TEST_P(EventWatchTest, IsContentWithWhatRuns) {
  reducer_.ends = true;
  EventWatch watch(&runtime_, &reducer_, kLong);
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(EnqueueSum(&watch).ok());
    const Enqueued enqueued = runtime_.CountOf(stream_);
    EXPECT_EQ(enqueued.collectives, i);
    EXPECT_EQ(enqueued.records, 2 * i);
    EXPECT_EQ(enqueued.waits, 0);
    if (i % 3 == 0) runtime_.RunAll();
  }
  runtime_.RunAll();
  EXPECT_TRUE(watch.status().ok());
  EXPECT_EQ(reducer_.aborts, 0);
}

TEST_P(EventWatchTest, ALostRankEndsWhatIsEnqueued) {
  EventWatch watch(&runtime_, &reducer_, kLong);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(EnqueueSum(&watch).ok());
  LetItAsk(10);
  EXPECT_TRUE(watch.status().ok());
  EXPECT_EQ(reducer_.aborts, 0);
  reducer_.lost = true;
  EXPECT_EQ(AwaitError(&watch), absl::UnavailableError("rank 3 is lost"));
  runtime_.RunAll();
  EXPECT_EQ(reducer_.aborts, 1);
  EXPECT_EQ(watch.status(), absl::UnavailableError("rank 3 is lost")) << "for good";
}

TEST_P(EventWatchTest, RanksThatDoNotComeAreAnError) {
  EventWatch watch(&runtime_, &reducer_, milliseconds(20));
  ASSERT_TRUE(EnqueueSum(&watch).ok());
  const absl::Status status = AwaitError(&watch);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("rank 1 of 4: the other ranks of the group did not come within 20 ms"));
  EXPECT_EQ(reducer_.aborts, 1);
}

// A step may take longer than others are waited for.
TEST_P(EventWatchTest, ThisRanksOwnTimeIsNotTheOthers) {
  std::atomic<bool> step_is_over = false;
  EventWatch watch(&runtime_, &reducer_, milliseconds(1));
  EnqueueGate(stream_, &step_is_over);
  ASSERT_TRUE(EnqueueSum(&watch).ok());
  LetItAsk(100);
  EXPECT_TRUE(watch.status().ok());
  EXPECT_EQ(reducer_.aborts, 0);
  step_is_over = true;
  EXPECT_EQ(AwaitError(&watch).code(), absl::StatusCode::kDeadlineExceeded);
}

// Everyone has the whole time, from when it has come to it.
TEST_P(EventWatchTest, WaitsForTheFirstFirst) {
  std::atomic<bool> between = false;
  EventWatch watch(&runtime_, &reducer_, kLong);
  ASSERT_TRUE(EnqueueSum(&watch).ok());
  EnqueueGate(stream_, &between);
  ASSERT_TRUE(EnqueueSum(&watch).ok());
  reducer_.ends = true;
  LetItAsk(100);
  reducer_.lost = true;
  EXPECT_EQ(AwaitError(&watch).code(), absl::StatusCode::kUnavailable) << "the second is watched, too";
  between = true;
}

// Where somebody else aborts, what is enqueued ends at once, with anything in it: that is no end.
TEST_P(EventWatchTest, AnAbortIsNeverTakenForAnEnd) {
  for (int round = 0; round < 50; ++round) {
    HeldReducer reducer;
    EventWatch watch(&runtime_, &reducer, kLong);
    ASSERT_TRUE(watch.Enqueue(stream_, [&] { return reducer.EnqueueSum(nullptr, 0, stream_); }).ok());
    reducer.Abort();
    EXPECT_EQ(watch.status().code(), absl::StatusCode::kCancelled);
    runtime_.RunAll();
    EXPECT_EQ(watch.status().code(), absl::StatusCode::kCancelled);
  }
}

TEST_P(EventWatchTest, WhatCannotBeEnqueuedIsTheCallersError) {
  reducer_.ends = true;
  EventWatch watch(&runtime_, &reducer_, kLong);
  EXPECT_EQ(watch.Enqueue(stream_, [this] { return reducer_.EnqueueBroadcast(nullptr, 0, stream_); }),
            absl::InternalError("not this one"));
  EXPECT_TRUE(watch.status().ok());
  EXPECT_TRUE(EnqueueSum(&watch).ok());
  runtime_.RunAll();
  EXPECT_TRUE(watch.status().ok());
}

TEST_P(EventWatchTest, EndsWithoutItsCollectives) {
  {
    EventWatch watch(&runtime_, &reducer_, kLong);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(EnqueueSum(&watch).ok());
  }
  EXPECT_EQ(reducer_.aborts, 0);
  reducer_.ends = true;
  runtime_.RunAll();
}

INSTANTIATE_TEST_SUITE_P(Runtimes, EventWatchTest, testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "Threads" : "Seeds"); });

}  // namespace
}  // namespace evenkeel::client
