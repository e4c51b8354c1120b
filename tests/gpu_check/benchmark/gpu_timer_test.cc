#include "tests/gpu_check/benchmark/gpu_timer.h"

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/gpu_check/benchmark/plain_benchmark_device.h"
#include "tests/gpu_check/benchmark/small_kernels.h"
#include "tests/gpu_check/plain_device.h"

// On plain_benchmark_device, whose time is exact.
namespace evenkeel::benchmarks {
namespace {

constexpr int kSamples = 5;

// `kernels` empty kernels, and one for each call before it when `grows`.
class Work {
 public:
  explicit Work(int kernels, bool grows = false) : kernels_(kernels), grows_(grows) {}

  absl::Status operator()(CUstream_st* stream) {
    sizes_.push_back(stream->work.size());
    for (int i = 0; i < kernels_; ++i) {
      if (const absl::Status status = EnqueueNothing(stream); !status.ok()) return status;
    }
    kernels_ += grows_;
    return absl::OkStatus();
  }

  double microseconds() const { return kernels_ * kPlainNothingMicroseconds; }
  // Of the stream, before each call.
  const std::vector<size_t>& sizes() const { return sizes_; }

 private:
  int kernels_;
  const bool grows_;
  std::vector<size_t> sizes_;
};

absl::StatusOr<Timing> Time(Work* work, TimingMode mode) {
  absl::StatusOr<GpuTimer> timer = GpuTimer::Create(kSamples, /*l2_bytes=*/1 << 10);
  if (!timer.ok()) return timer.status();
  return timer->Time([work](CUstream_st* stream) { return (*work)(stream); }, mode);
}

TEST(GpuTimerTest, WarmSamplesAreLongAndSharedByTheirCalls) {
  for (const bool graph : {false, true}) {
    for (const int kernels : {1, 10, 1000}) {
      Work work(kernels);
      const auto timing = Time(&work, {/*cold=*/false, graph});
      ASSERT_TRUE(timing.ok()) << timing.status();
      EXPECT_EQ(timing->samples, kSamples);
      const int calls = timing->calls_per_sample;
      EXPECT_NEAR(timing->microseconds, work.microseconds() + kPlainEventMicroseconds / calls, 1e-9);
      EXPECT_DOUBLE_EQ(timing->best_microseconds, timing->microseconds);
      EXPECT_GE(calls * work.microseconds(), 280) << kernels;
      EXPECT_TRUE(calls == 1 || (calls - 1) * work.microseconds() < 333) << kernels;
    }
  }
}

TEST(GpuTimerTest, ColdSamplesAreOneCallAndAnEvent) {
  for (const bool graph : {false, true}) {
    Work work(3);
    const auto timing = Time(&work, {/*cold=*/true, graph});
    ASSERT_TRUE(timing.ok()) << timing.status();
    EXPECT_EQ(timing->samples, kSamples);
    EXPECT_EQ(timing->calls_per_sample, 1);
    EXPECT_NEAR(timing->microseconds, work.microseconds() + kPlainEventMicroseconds, 1e-9);
  }
}

TEST(GpuTimerTest, BeforeAColdCallTheCacheIsFlushedAndThenTheTimeTaken) {
  Work work(1);
  ASSERT_TRUE(Time(&work, {/*cold=*/true, /*graph=*/false}).ok());
  ASSERT_GT(work.sizes().size(), kSamples);
  // The last kSamples calls: after a fill and an event, and then after an event, a fill and an event each.
  const size_t first = work.sizes().size() - kSamples;
  for (size_t i = first + 1; i < work.sizes().size(); ++i) {
    EXPECT_EQ(work.sizes()[i] - work.sizes()[i - 1], 1 + 1 + 1 + 1) << "a kernel, an event, a fill, an event";
  }
}

TEST(GpuTimerTest, TheMedianOfSamplesAndTheBest) {
  Work work(1, /*grows=*/true);
  const auto timing = Time(&work, {/*cold=*/true, /*graph=*/false});
  ASSERT_TRUE(timing.ok()) << timing.status();
  const double last = work.microseconds() - kPlainNothingMicroseconds + kPlainEventMicroseconds;
  EXPECT_NEAR(timing->microseconds, last - kSamples / 2 * kPlainNothingMicroseconds, 1e-9);
  EXPECT_NEAR(timing->best_microseconds, last - (kSamples - 1) * kPlainNothingMicroseconds, 1e-9);
}

TEST(GpuTimerTest, ErrorsOfTheWorkArePassedOn) {
  const absl::StatusOr<GpuTimer> timer = GpuTimer::Create(kSamples, /*l2_bytes=*/1 << 10);
  ASSERT_TRUE(timer.ok()) << timer.status();
  for (const TimingMode mode : kTimingModes) {
    int calls = 0;
    const auto status = timer->Time(
        [&](CUstream_st*) { return ++calls < 9 ? absl::OkStatus() : absl::InternalError("the ninth call"); }, mode);
    EXPECT_EQ(status.status().message(), "the ninth call");
  }
}

}  // namespace
}  // namespace evenkeel::benchmarks
