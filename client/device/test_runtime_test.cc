// The double itself: what streams and events order, and nothing else; whose memory it is; what its kernels compute.

#include "client/device/test_runtime.h"

#include <atomic>
#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/device/test_stream.h"
#include "gtest/gtest.h"
#include "kernels/balance/layer_rule.h"
#include "kernels/balance/rate_table.h"
#include "kernels/balance/update.h"
#include "kernels/counting/reference_count.h"
#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/reference/reference_router.h"

namespace evenkeel::client {
namespace {

TestRuntimeOptions Options(uint64_t seed, bool threads) {
  TestRuntimeOptions options;
  options.seed = seed;
  options.threads = threads;
  return options;
}

// An array in the memory of the device, with values where given.
template <typename Value>
class Array {
 public:
  Array(TestRuntime* runtime, size_t size) : runtime_(runtime), size_(size) {
    data_ = static_cast<Value*>(runtime->Allocate(size * sizeof(Value)).value());
  }
  Array(TestRuntime* runtime, const std::vector<Value>& values) : Array(runtime, values.size()) {
    std::memcpy(data_, values.data(), size_ * sizeof(Value));
  }
  Array(TestRuntime* runtime, std::initializer_list<Value> values) : Array(runtime, std::vector<Value>(values)) {}
  ~Array() { runtime_->Free(data_); }
  Array(const Array&) = delete;

  Value* data() const { return data_; }
  // After RunAll.
  std::vector<Value> Get() const { return std::vector<Value>(data_, data_ + size_); }

 private:
  TestRuntime* const runtime_;
  const size_t size_;
  Value* data_;
};

class TestRuntimeTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr int kSeeds = 50;
  bool threads() const { return GetParam(); }
};

TEST_P(TestRuntimeTest, AStreamRunsInOrder) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    TestRuntime runtime(Options(seed, threads()));
    const DeviceStream stream = runtime.CreateStream().value();
    Array<int> a(&runtime, {1, 2, 3});
    Array<int> b(&runtime, 3);
    ASSERT_TRUE(runtime.Copy(b.data(), a.data(), 3 * sizeof(int), stream).ok());
    ASSERT_TRUE(runtime.FillZero(a.data(), 2 * sizeof(int), stream).ok());
    ASSERT_TRUE(runtime.Copy(b.data() + 2, a.data(), sizeof(int), stream).ok());
    runtime.RunAll();
    EXPECT_EQ(a.Get(), (std::vector<int>{0, 0, 3})) << "seed " << seed;
    EXPECT_EQ(b.Get(), (std::vector<int>{1, 2, 0})) << "seed " << seed;
  }
}

TEST_P(TestRuntimeTest, AnEventOrdersStreams) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    TestRuntime runtime(Options(seed, threads()));
    const DeviceStream first = runtime.CreateStream().value();
    const DeviceStream second = runtime.CreateStream().value();
    const DeviceEvent copied = runtime.CreateEvent().value();
    const DeviceEvent done = runtime.CreateEvent().value();
    Array<int> a(&runtime, {7});
    Array<int> b(&runtime, {0});
    Array<int> c(&runtime, {0});
    for (int round = 0; round < 10; ++round) {
      // The second stream reads what the first wrote, and only then the first overwrites it: the event is used again.
      ASSERT_TRUE(runtime.Copy(b.data(), a.data(), sizeof(int), first).ok());
      ASSERT_TRUE(runtime.Record(copied, first).ok());
      ASSERT_TRUE(runtime.WaitOn(second, copied).ok());
      ASSERT_TRUE(runtime.Copy(c.data(), b.data(), sizeof(int), second).ok());
      ASSERT_TRUE(runtime.Record(done, second).ok());
      ASSERT_TRUE(runtime.WaitOn(first, done).ok());
      ASSERT_TRUE(runtime.FillZero(b.data(), sizeof(int), first).ok());
    }
    while (!runtime.Happened(done).value()) {
    }
    EXPECT_EQ(*c.data(), 7) << "seed " << seed;
    runtime.RunAll();
    EXPECT_EQ(*b.data(), 0) << "seed " << seed;
  }
}

// Whoever waits, waits for the recording that there was; whether an event has happened, is asked of the newest.
TEST_P(TestRuntimeTest, AnEventRecordedAgainIsTheNewerOne) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    TestRuntime runtime(Options(seed, threads()));
    const DeviceStream late = runtime.CreateStream().value();
    const DeviceStream early = runtime.CreateStream().value();
    const DeviceStream waiting = runtime.CreateStream().value();
    const DeviceEvent event = runtime.CreateEvent().value();
    const DeviceEvent waited = runtime.CreateEvent().value();
    EXPECT_TRUE(runtime.Happened(event).value());

    std::atomic<bool> opened = false;
    const auto gate = [](void* open) { return static_cast<std::atomic<bool>*>(open)->load(); };
    late->enqueue(late, gate, &opened);
    ASSERT_TRUE(runtime.Record(event, late).ok());
    ASSERT_TRUE(runtime.WaitOn(waiting, event).ok());
    ASSERT_TRUE(runtime.Record(waited, waiting).ok());
    ASSERT_TRUE(runtime.Record(event, early).ok());
    while (!runtime.Happened(event).value()) {
    }
    for (int i = 0; i < 20; ++i) EXPECT_FALSE(runtime.Happened(waited).value());
    opened = true;
    while (!runtime.Happened(waited).value()) {
    }
  }
}

TEST(TestRuntimeOrderTest, NothingRunsBeforeItIsAskedFor) {
  TestRuntime runtime;
  Array<int> a(&runtime, {7});
  ASSERT_TRUE(runtime.FillZero(a.data(), sizeof(int), nullptr).ok());
  EXPECT_EQ(*a.data(), 7);
  runtime.RunAll();
  EXPECT_EQ(*a.data(), 0);
}

TEST(TestRuntimeOrderTest, AMissingWaitShows) {
  int right = 0;
  constexpr int kSeeds = 100;
  for (int seed = 0; seed < kSeeds; ++seed) {
    TestRuntime runtime(Options(seed, /*threads=*/false));
    const DeviceStream first = runtime.CreateStream().value();
    const DeviceStream second = runtime.CreateStream().value();
    Array<int> a(&runtime, {7});
    Array<int> b(&runtime, {0});
    Array<int> c(&runtime, {0});
    ASSERT_TRUE(runtime.Copy(b.data(), a.data(), sizeof(int), first).ok());
    ASSERT_TRUE(runtime.Copy(c.data(), b.data(), sizeof(int), second).ok());
    runtime.RunAll();
    right += *c.data() == 7;
  }
  EXPECT_GT(right, kSeeds / 5);
  EXPECT_LT(right, kSeeds * 4 / 5);
}

TEST(TestRuntimeOrderTest, ADestroyedStreamRunsWhatIsOnIt) {
  TestRuntime runtime;
  const DeviceStream stream = runtime.CreateStream().value();
  const DeviceEvent event = runtime.CreateEvent().value();
  Array<int> a(&runtime, {7});
  ASSERT_TRUE(runtime.FillZero(a.data(), sizeof(int), stream).ok());
  ASSERT_TRUE(runtime.Record(event, stream).ok());
  ASSERT_TRUE(runtime.WaitOn(nullptr, event).ok());
  runtime.DestroyEvent(event);
  runtime.DestroyStream(stream);
  runtime.RunAll();
  EXPECT_EQ(*a.data(), 0);
}

TEST(TestRuntimeOrderTest, CountsWhatWasEnqueued) {
  TestRuntime runtime;
  const DeviceStream stream = runtime.CreateStream().value();
  const DeviceEvent event = runtime.CreateEvent().value();
  Array<int> a(&runtime, {1, 2});
  EXPECT_TRUE(runtime.Copy(a.data(), a.data() + 1, sizeof(int), stream).ok());
  EXPECT_TRUE(runtime.FillZero(a.data(), sizeof(int), stream).ok());
  EXPECT_TRUE(runtime.FillZero(a.data(), sizeof(int), stream).ok());
  EXPECT_TRUE(runtime.Record(event, stream).ok());
  EXPECT_TRUE(runtime.WaitOn(stream, event).ok());
  stream->enqueue(
      stream, [](void*) { return true; }, nullptr);
  const Enqueued enqueued = runtime.CountOf(stream);
  EXPECT_EQ(enqueued.copies, 1);
  EXPECT_EQ(enqueued.fills, 2);
  EXPECT_EQ(enqueued.records, 1);
  EXPECT_EQ(enqueued.waits, 1);
  EXPECT_EQ(enqueued.collectives, 1);
  EXPECT_EQ(enqueued.kernels, 0);
  EXPECT_EQ(runtime.CountOf(nullptr).records, 0);
}

TEST(TestRuntimeMemoryTest, IsZeroAndNoMoreThanThereIs) {
  TestRuntimeOptions options;
  options.memory = 100;
  TestRuntime runtime(options);
  void* const some = runtime.Allocate(60).value();
  EXPECT_EQ(std::string(static_cast<char*>(some), 60), std::string(60, 0));
  EXPECT_EQ(runtime.Allocate(41).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(runtime.AllocatePinned(41).status().code(), absl::StatusCode::kResourceExhausted);
  runtime.Free(some);
  runtime.FreePinned(runtime.AllocatePinned(100).value());
  runtime.Free(nullptr);
  runtime.FreePinned(nullptr);
}

TEST(TestRuntimeMemoryDeathTest, AbortsOnMemoryThatIsNotItsOwn) {
  TestRuntime runtime;
  char host[8] = {};
  auto* const device = static_cast<char*>(runtime.Allocate(8).value());
  auto* const pinned = static_cast<char*>(runtime.AllocatePinned(8).value());
  EXPECT_TRUE(runtime.Copy(device, pinned, 8, nullptr).ok());
  EXPECT_DEATH(runtime.Copy(device, host, 8, nullptr).IgnoreError(), "IsDeviceOrPinned");
  EXPECT_DEATH(runtime.Copy(host, device, 8, nullptr).IgnoreError(), "IsDeviceOrPinned");
  EXPECT_DEATH(runtime.Copy(device + 1, pinned, 8, nullptr).IgnoreError(), "IsDeviceOrPinned");
  EXPECT_DEATH(runtime.FillZero(host, 8, nullptr).IgnoreError(), "IsDeviceOrPinned");
  EXPECT_DEATH(runtime.Free(pinned), "allocated");
  EXPECT_DEATH(runtime.FreePinned(host), "allocated");
  EXPECT_DEATH(runtime.DestroyStream(reinterpret_cast<DeviceStream>(host)), "is_a_stream");
  const DeviceStream gone = runtime.CreateStream().value();
  runtime.DestroyStream(gone);
  EXPECT_DEATH(runtime.FillZero(device, 8, gone).IgnoreError(), "destroyed");
  runtime.Free(device);
  EXPECT_DEATH(runtime.FillZero(device, 8, nullptr).IgnoreError(), "IsDeviceOrPinned");
  runtime.FreePinned(pinned);
}

routing::RouteSpec Spec() {
  routing::RouteSpec spec;
  spec.num_experts = 16;
  spec.top_k = 4;
  return spec;
}

std::vector<float> Normal(uint64_t seed, size_t size) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(TestRuntimeMemoryDeathTest, KernelsTakeMemoryOfTheDeviceOnly) {
  TestRuntime runtime;
  const auto spec = Spec();
  Array<float> logits(&runtime, Normal(1, 5 * 16));
  Array<uint64_t> counts(&runtime, 16);
  void* const pinned = runtime.AllocatePinned(16 * sizeof(uint64_t)).value();
  routing::RouteInput input;
  input.logits = logits.data();
  input.logits_stride = 16;
  input.rows = 5;
  routing::RouteOutput output;
  output.counts = counts.data();
  EXPECT_TRUE(runtime.Route(spec, input, output, nullptr, nullptr).ok());
  input.rows = 6;
  EXPECT_DEATH(runtime.Route(spec, input, output, nullptr, nullptr).IgnoreError(), "IsDevice");
  input.rows = 5;
  output.counts = static_cast<uint64_t*>(pinned);
  EXPECT_DEATH(runtime.Route(spec, input, output, nullptr, nullptr).IgnoreError(), "IsDevice");
  runtime.FreePinned(pinned);
}

TEST(TestRuntimeMemoryDeathTest, ANextStepTakesMemoryOfTheDeviceOnly) {
  TestRuntime runtime;
  uint64_t host = 0;
  const float host_rate = 1;
  Array<uint64_t> skips(&runtime, 1);
  Array<float> table_rates(&runtime, 3);
  Array<balance::RateTable> tables(&runtime, std::vector<balance::RateTable>{{table_rates.data(), 3}});
  Array<balance::FlatPlace> place(&runtime, 1);
  Array<balance::FlatStep> step(&runtime, 1);
  Array<float> rates(&runtime, 1);
  Array<uint64_t> replays(&runtime, 1);
  const balance::NextStep right = {skips.data(), replays.data(), false,       balance::Mode::kBalance, 1, tables.data(),
                                   place.data(), step.data(),    rates.data()};
  EXPECT_TRUE(runtime.NextStep(right, nullptr).ok());
  runtime.RunAll();

  balance::NextStep wrong = right;
  wrong.skips = &host;
  EXPECT_DEATH(runtime.NextStep(wrong, nullptr).IgnoreError(), "IsDevice");
  wrong = right;
  wrong.num_layers = 2;
  EXPECT_DEATH(runtime.NextStep(wrong, nullptr).IgnoreError(), "IsDevice");
  const auto run = [&] {
    runtime.NextStep(right, nullptr).IgnoreError();
    runtime.RunAll();
  };
  *tables.data() = {&host_rate, 1};
  EXPECT_DEATH(run(), "IsDevice");
  *tables.data() = {table_rates.data(), 4};
  EXPECT_DEATH(run(), "IsDevice");
  *tables.data() = {table_rates.data(), 0};
  EXPECT_DEATH(run(), "size");
}

TEST(TestRuntimeKernelTest, RefuseWhatTheDeviceRefuses) {
  TestRuntime runtime;
  auto spec = Spec();
  spec.top_k = 17;
  EXPECT_EQ(runtime.Route(spec, {}, {}, nullptr, nullptr).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(runtime.RouteBackward(spec, {}, {}, nullptr).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(runtime.CountIds({}, {}, nullptr).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(runtime.AddCounts({}, {}, nullptr).code(), absl::StatusCode::kInvalidArgument);
  spec.num_experts = 1025;
  routing::RouteInput input;
  input.logits_stride = 1025;
  EXPECT_EQ(runtime.Route(spec, input, {}, nullptr, nullptr).code(), absl::StatusCode::kUnimplemented);
  balance::FlatUpdate update = {};
  EXPECT_TRUE(runtime.Update(update, nullptr).ok());
  update.num_layers = -1;
  EXPECT_EQ(runtime.Update(update, nullptr).code(), absl::StatusCode::kInvalidArgument);
  balance::NextStep next = {};
  EXPECT_TRUE(runtime.NextStep(next, nullptr).ok());
  for (const int num_layers : {-1, 1}) {
    next.num_layers = num_layers;
    EXPECT_EQ(runtime.NextStep(next, nullptr).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(runtime.CountOf(nullptr).kernels, 0);
}

// Streams that share counts and stats: they are added to atomically, to what is there.
TEST_P(TestRuntimeTest, RoutesAndCountsOnStreamsThatShareCounts) {
  constexpr int kRows = 64;
  constexpr int kCalls = 20;
  const auto spec = Spec();
  TestRuntime runtime(Options(1, threads()));
  Array<float> logits(&runtime, Normal(1, kRows * 16));
  Array<int32_t> ids(&runtime, kRows * 4);
  Array<float> weights(&runtime, kRows * 4);
  Array<uint64_t> counts(&runtime, std::vector<uint64_t>(16, 5));
  Array<routing::RouteStats> stats(&runtime, 1);
  Array<uint64_t> refused(&runtime, 1);
  Array<uint64_t> made(&runtime, std::vector<uint64_t>{8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3});
  Array<float> d_weights(&runtime, Normal(2, kRows * 4));
  Array<float> d_logits(&runtime, kRows * 16);

  routing::RouteInput input;
  input.logits = logits.data();
  input.logits_stride = 16;
  input.rows = kRows;
  routing::RouteOutput output;
  output.ids = ids.data();
  output.ids_stride = 4;
  output.weights = weights.data();
  output.weights_stride = 4;
  output.counts = counts.data();
  counting::CountOutput count_output;
  count_output.counts = counts.data();
  count_output.stats = stats.data();
  count_output.refused = refused.data();
  counting::IdsInput ids_input;
  ids_input.num_experts = 16;
  ids_input.top_k = 4;
  ids_input.ids = ids.data();
  ids_input.rows = kRows;
  ids_input.ids_stride = 4;
  counting::CountsInput counts_input;
  counts_input.num_experts = 16;
  counts_input.top_k = 4;
  counts_input.counts = made.data();
  counts_input.valid_rows = 3;
  counts_input.short_slots = 1;
  routing::RouteBackwardInput backward;
  backward.logits = logits.data();
  backward.logits_stride = 16;
  backward.rows = kRows;
  backward.ids = ids.data();
  backward.ids_stride = 4;
  backward.d_weights = d_weights.data();
  backward.d_weights_stride = 4;
  routing::RouteBackwardOutput gradient;
  gradient.d_logits = d_logits.data();
  gradient.d_logits_stride = 16;

  const DeviceStream first = runtime.CreateStream().value();
  const DeviceStream second = runtime.CreateStream().value();
  const DeviceEvent routed = runtime.CreateEvent().value();
  ASSERT_TRUE(runtime.Route(spec, input, output, stats.data(), first).ok());
  ASSERT_TRUE(runtime.Record(routed, first).ok());
  ASSERT_TRUE(runtime.WaitOn(second, routed).ok());
  for (int call = 0; call < kCalls; ++call) {
    ASSERT_TRUE(runtime.CountIds(ids_input, count_output, first).ok());
    ASSERT_TRUE(runtime.CountIds(ids_input, count_output, second).ok());
    ASSERT_TRUE(runtime.AddCounts(counts_input, count_output, second).ok());
  }
  ASSERT_TRUE(runtime.RouteBackward(spec, backward, gradient, second).ok());
  runtime.RunAll();

  std::vector<uint64_t> want(16);
  std::vector<int32_t> want_ids(kRows * 4);
  std::vector<float> want_weights(kRows * 4);
  std::vector<float> want_gradient(kRows * 16);
  output.ids = want_ids.data();
  output.weights = want_weights.data();
  output.counts = want.data();
  ASSERT_TRUE(routing::RouteReference(spec, input, output, nullptr).ok());
  gradient.d_logits = want_gradient.data();
  ASSERT_TRUE(routing::RouteBackwardReference(spec, backward, gradient).ok());
  for (uint64_t& count : want) count = 5 + count * (1 + 2 * kCalls);
  want[0] += 8 * kCalls;
  want[15] += 3 * kCalls;
  EXPECT_EQ(counts.Get(), want);
  EXPECT_EQ(ids.Get(), want_ids);
  EXPECT_EQ(weights.Get(), want_weights);
  EXPECT_EQ(d_logits.Get(), want_gradient);
  EXPECT_EQ(stats.Get()[0].valid_rows, kRows * (1 + 2 * kCalls) + 3 * kCalls);
  EXPECT_EQ(stats.Get()[0].short_slots, kCalls);
  EXPECT_EQ(refused.Get()[0], 0);
}

TEST_P(TestRuntimeTest, UpdatesAsTheHostDoes) {
  const std::vector<int> sizes = {3, 5};
  balance::BalanceConfig config;
  std::vector<balance::LayerState> want;
  std::vector<balance::FlatLayer> layers;
  for (const int size : sizes) {
    layers.push_back({layers.empty() ? 0 : 3, balance::MakeLayerRule(config, size)});
    want.push_back(balance::InitialState(size));
  }
  const std::vector<uint64_t> counted = {1, 2, 6, 5, 4, 3, 2, 1};
  TestRuntime runtime(Options(1, threads()));
  Array<balance::FlatLayer> flat_layers(&runtime, layers);
  Array<balance::FlatStep> step(&runtime, std::vector<balance::FlatStep>{{{1, 1, balance::Mode::kBalance}, true}});
  Array<float> rates(&runtime, {1e-2f, 1e-2f});
  Array<uint64_t> counts(&runtime, counted);
  Array<uint64_t> tokens(&runtime, std::vector<uint64_t>{9, 15});
  Array<float> bias(&runtime, 8);
  Array<float> ema(&runtime, 8);
  Array<uint64_t> pending(&runtime, 8);
  Array<balance::LayerScalars> scalars(&runtime, std::vector<balance::LayerScalars>(2));
  Array<uint32_t> refused(&runtime, 2);
  const balance::FlatUpdate update = {
      2,           flat_layers.data(), step.data(),    rates.data(),   counts.data(), tokens.data(),
      bias.data(), ema.data(),         pending.data(), scalars.data(), refused.data()};
  ASSERT_TRUE(runtime.Update(update, nullptr).ok());
  EXPECT_EQ(runtime.CountOf(nullptr).kernels, 1);
  runtime.RunAll();

  config.rate = 1e-2;
  EXPECT_EQ(balance::Update(config, {1, 1}, absl::MakeConstSpan(counted).subspan(0, 3), 9, &want[0]),
            balance::UpdateReason::kMoved);
  EXPECT_EQ(balance::Update(config, {1, 1}, absl::MakeConstSpan(counted).subspan(3), 15, &want[1]),
            balance::UpdateReason::kMoved);
  std::vector<float> want_bias = want[0].bias;
  want_bias.insert(want_bias.end(), want[1].bias.begin(), want[1].bias.end());
  EXPECT_EQ(bias.Get(), want_bias);
  EXPECT_EQ(refused.Get(), std::vector<uint32_t>({0, 0}));
  EXPECT_EQ(scalars.Get()[1].last_commit, 1);
}

// Steps of a job, enqueued at once by a host that has seen none of the skips: some rank skips the third.
TEST_P(TestRuntimeTest, KnowsWhichStepItIsAt) {
  const std::vector<uint64_t> counted = {1, 2, 6};
  const std::vector<uint64_t> skipped = {0, 0, 5, 0, 0};
  const std::vector<uint64_t> positions = {1, 2, 3, 3, 4};
  balance::BalanceConfig config;
  config.warmup_steps = 1;
  config.schedule.kind = balance::Schedule::Kind::kLinear;
  config.schedule.end = 4;
  for (const bool apply_skipped : {false, true}) {
    TestRuntime runtime(Options(1, threads()));
    Array<balance::FlatLayer> layers(&runtime, std::vector<balance::FlatLayer>{{0, balance::MakeLayerRule(config, 3)}});
    Array<uint64_t> all_skips(&runtime, skipped);
    Array<uint64_t> skips(&runtime, 1);
    Array<float> table_rates(&runtime, balance::RateTableOf(config).value());
    Array<uint64_t> replays(&runtime, 1);
    Array<balance::RateTable> tables(&runtime, std::vector<balance::RateTable>{{table_rates.data(), 4}});
    Array<balance::FlatPlace> place(&runtime, 1);
    Array<balance::FlatStep> step(&runtime, 1);
    Array<float> rates(&runtime, 1);
    Array<uint64_t> counts(&runtime, counted);
    Array<uint64_t> tokens(&runtime, std::vector<uint64_t>{9});
    Array<float> bias(&runtime, 3);
    Array<float> ema(&runtime, 3);
    Array<uint64_t> pending(&runtime, 3);
    Array<balance::LayerScalars> scalars(&runtime, std::vector<balance::LayerScalars>(1));
    Array<uint32_t> refused(&runtime, 1);
    const balance::NextStep next = {
        skips.data(), replays.data(), apply_skipped, balance::Mode::kBalance, 1, tables.data(),
        place.data(), step.data(),    rates.data()};
    const balance::FlatUpdate update = {
        1,           layers.data(), step.data(),    rates.data(),   counts.data(), tokens.data(),
        bias.data(), ema.data(),    pending.data(), scalars.data(), refused.data()};
    for (size_t i = 0; i < skipped.size(); ++i) {
      ASSERT_TRUE(runtime.Copy(skips.data(), all_skips.data() + i, sizeof(uint64_t), nullptr).ok());
      ASSERT_TRUE(runtime.NextStep(next, nullptr).ok());
      ASSERT_TRUE(runtime.Update(update, nullptr).ok());
    }
    EXPECT_EQ(runtime.CountOf(nullptr).kernels, 2 * skipped.size());
    runtime.RunAll();

    balance::LayerState want = balance::InitialState(3);
    for (size_t i = 0; i < skipped.size(); ++i) {
      if (skipped[i] == 0 || apply_skipped) {
        balance::Update(config, {i + 1, positions[i]}, counted, 9, &want);
      } else {
        balance::RecordUnmoved(i + 1, balance::UpdateReason::kSkipped, &want);
      }
    }
    EXPECT_EQ(want.last_reason, balance::UpdateReason::kRateZero);
    EXPECT_EQ(bias.Get(), want.bias);
    EXPECT_EQ(ema.Get(), want.ema);
    EXPECT_EQ(scalars.Get()[0].last_commit, 5);
    EXPECT_EQ(scalars.Get()[0].last_update, want.last_update);
    EXPECT_EQ(place.Get()[0].step, 5);
    EXPECT_EQ(place.Get()[0].position, 4);
    EXPECT_EQ(step.Get()[0].info.position, 4);
  }
}

// What is captured does not run; what is launched does, as often as it is, with the arguments of the capture.
TEST_P(TestRuntimeTest, AGraphRunsWhenItIsLaunched) {
  TestRuntime runtime(Options(5, threads()));
  const DeviceStream stream = runtime.CreateStream().value();
  const DeviceStream other = runtime.CreateStream().value();
  const DeviceEvent event = runtime.CreateEvent().value();
  Array<uint64_t> made(&runtime, {2, 1, 0});
  Array<uint64_t> counts(&runtime, 3);
  Array<routing::RouteStats> stats(&runtime, 1);
  Array<uint64_t> refused(&runtime, 1);
  counting::CountsInput input;
  input.num_experts = 3;
  input.top_k = 1;
  input.counts = made.data();
  input.valid_rows = 3;
  const counting::CountOutput output = {counts.data(), stats.data(), refused.data()};
  EXPECT_FALSE(runtime.IsCapturing(stream).value());
  runtime.BeginCapture(stream);
  EXPECT_TRUE(runtime.IsCapturing(stream).value());
  EXPECT_FALSE(runtime.IsCapturing(other).value());
  ASSERT_TRUE(runtime.AddCounts(input, output, stream).ok());
  EXPECT_EQ(runtime.Copy(counts.data(), made.data(), 8, stream).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(runtime.FillZero(counts.data(), 8, stream).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(runtime.Record(event, stream).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(runtime.WaitOn(stream, event).code(), absl::StatusCode::kInternal);
  const TestGraph graph = runtime.EndCapture(stream);
  EXPECT_EQ(graph.size(), 1);
  EXPECT_EQ(runtime.CountOfAll().kernels, 0);
  runtime.RunAll();
  EXPECT_EQ(counts.Get(), std::vector<uint64_t>(3));
  for (const DeviceStream of : {stream, other, stream}) runtime.LaunchGraph(graph, of);
  EXPECT_EQ(runtime.CountOfAll().kernels, 3);
  runtime.RunAll();
  EXPECT_EQ(counts.Get(), std::vector<uint64_t>({6, 3, 0}));
}

// Whatever is enqueued from outside runs in its turn, and as often as it says "not yet".
TEST_P(TestRuntimeTest, WorkFromOutsideHoldsItsStream) {
  struct Work {
    std::atomic<int> calls{0};
    int* value;
  } work;
  TestRuntime runtime(Options(3, threads()));
  const DeviceStream stream = runtime.CreateStream().value();
  Array<int> a(&runtime, {7});
  Array<int> b(&runtime, {0});
  work.value = a.data();
  stream->enqueue(
      stream,
      [](void* argument) {
        auto* const work = static_cast<Work*>(argument);
        if (++work->calls < 5) return false;
        *work->value = 8;
        return true;
      },
      &work);
  ASSERT_TRUE(runtime.Copy(b.data(), a.data(), sizeof(int), stream).ok());
  runtime.RunAll();
  EXPECT_EQ(work.calls, 5);
  EXPECT_EQ(*b.data(), 8);
}

INSTANTIATE_TEST_SUITE_P(Runs, TestRuntimeTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "OnThreads" : "Stepwise"; });

}  // namespace
}  // namespace evenkeel::client
