// What a worker on a device counts, and what it does not: graphs that are captured and replayed, dry runs, evaluations,
// recomputed forwards and replays, against a worker on the host that counts each once.

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/device/test_runtime.h"
#include "client/worker/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

constexpr int kExperts = 8;
constexpr int kTopK = 2;
constexpr int64_t kRows = 6;
constexpr uint64_t kSteps = 8;

WorkerOptions Options() {
  WorkerOptions options;
  options.coordinator = "";
  options.job = "run";
  options.balance = "preset: evenkeel";
  options.layers = {{"b.routed", kExperts, kTopK, "score: SIGMOID"}, {"a.counted", kExperts, kTopK, ""}};
  return options;
}

constexpr int kRouted = 0;
constexpr int kCounted = 1;

std::vector<float> Logits(uint64_t seed) {
  std::vector<float> logits(kRows * kExperts);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>((i * 7919 + seed * 104'729 + i / kExperts * seed) % 1000) / 250 - 2;
  }
  return logits;
}

std::vector<int32_t> SomeIds(uint64_t seed) {
  std::vector<int32_t> ids;
  for (int64_t row = 0; row < kRows; ++row) {
    const int first = static_cast<int>((row * 3 + seed) % kExperts);
    ids.push_back(first);
    ids.push_back((first + 1 + static_cast<int>(seed % 3)) % kExperts);
  }
  return ids;
}

// The runtime of the worker that was joined last, which belongs to the worker.
TestRuntime* device = nullptr;

template <bool kThreads>
absl::StatusOr<std::unique_ptr<DeviceRuntime>> MakeTestRuntime(int seed) {
  TestRuntimeOptions options;
  options.seed = seed;
  options.threads = kThreads;
  auto runtime = std::make_unique<TestRuntime>(options);
  device = runtime.get();
  return runtime;
}

void ExpectOk(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

// A worker, with arrays where it reads them. Every bias that routed a step is kept.
class Rig {
 public:
  // On the host: `seed` is -1.
  Rig(const WorkerOptions& given, int seed, bool threads) {
    WorkerOptions options = given;
    options.device = seed;
    auto worker = Worker::Join(options, threads ? MakeTestRuntime<true> : MakeTestRuntime<false>);
    EXPECT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    if (seed < 0) return;
    device_ = device;
    stream_ = device_->CreateStream().value();
    ExpectOk(worker_->SetStream(stream_));
  }

  Worker& worker() { return *worker_; }
  TestRuntime& runtime() { return *device_; }
  DeviceStream stream() const { return stream_; }

  template <typename T>
  T* Array(const std::vector<T>& values) {
    const size_t bytes = values.size() * sizeof(T);
    if (device_ == nullptr) {
      host_.push_back(std::make_unique<char[]>(bytes));
      std::memcpy(host_.back().get(), values.data(), bytes);
      return reinterpret_cast<T*>(host_.back().get());
    }
    T* const memory = static_cast<T*>(device_->Allocate(bytes).value());
    std::memcpy(memory, values.data(), bytes);
    return memory;
  }

  // One micro-batch at both layers.
  void Forward(uint64_t seed, int64_t micro_batch = -1) {
    Tokens tokens;
    tokens.rows = kRows;
    tokens.logits = Array(Logits(seed));
    tokens.micro_batch = micro_batch;
    ExpectOk(worker_->Route(kRouted, tokens, {}));
    Ids ids = {kRows, Array(SomeIds(seed))};
    ids.micro_batch = micro_batch;
    ExpectOk(worker_->Count(kCounted, ids));
  }

  void Begin(uint64_t step) {
    ExpectOk(worker_->BeginStep(step));
    Note();
  }

  // After a Leave: of every step, and of the end.
  std::vector<std::vector<float>> Biases() {
    Note();
    if (device_ != nullptr) device_->RunAll();
    std::vector<std::vector<float>> biases;
    for (const float* bias : noted_) biases.emplace_back(bias, bias + kExperts);
    return biases;
  }

 private:
  void Note() {
    const float* const bias = worker_->bias(kRouted);
    if (device_ == nullptr) return noted_.push_back(Array(std::vector<float>(bias, bias + kExperts)));
    auto* const copy = static_cast<float*>(device_->AllocatePinned(kExperts * sizeof(float)).value());
    ExpectOk(device_->Copy(copy, bias, kExperts * sizeof(float), stream_));
    noted_.push_back(copy);
  }

  TestRuntime* device_ = nullptr;
  DeviceStream stream_ = nullptr;
  std::vector<std::unique_ptr<char[]>> host_;
  std::vector<const float*> noted_;
  std::unique_ptr<Worker> worker_;
};

// `train` runs kSteps steps; what it does on a device has the biases of `reference` on the host.
template <typename Train, typename Reference>
void ExpectSame(const WorkerOptions& options, Train train, Reference reference) {
  Rig host(options, -1, /*threads=*/false);
  reference(host);
  ExpectOk(host.worker().Leave());
  const auto expected = host.Biases();
  EXPECT_NE(expected.front(), expected.back());
  for (const bool threads : {false, true}) {
    for (int seed = 0; seed < (threads ? 3 : 15); ++seed) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, threads ? ", threads" : ""));
      Rig rig(options, seed, threads);
      train(rig);
      ExpectOk(rig.worker().Leave());
      const auto biases = rig.Biases();
      ASSERT_EQ(biases.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(biases[i], expected[i]) << "step " << i + 1;
    }
  }
}

// Two micro-batches a step, each counted once.
void TrainPlainly(Rig& rig) {
  for (uint64_t step = 1; step <= kSteps; ++step) {
    rig.Begin(step);
    rig.Forward(step);
    rig.Forward(step + 100);
    ExpectOk(rig.worker().Commit(step, true));
  }
}

// Passes that warm up, the capture itself, and within it the recomputation of its forward: what is counted is one
// forward for each replay, in the step that it is replayed in.
TEST(DeviceCountingTest, Pitfall16AGraphCountsOnceForEachReplay) {
  const auto train = [](Rig& rig) {
    TestGraph graphs[2];
    for (uint64_t step = 1; step <= kSteps; ++step) {
      rig.Begin(step);
      rig.Forward(50, /*micro_batch=*/0);
      TestGraph& graph = graphs[step % 2];
      if (graph.empty()) {
        ExpectOk(rig.worker().BeginCapture());
        for (int pass = 0; pass < 3; ++pass) rig.Forward(77, /*micro_batch=*/pass % 2);
        ExpectOk(rig.worker().EndCapture());
        ExpectOk(rig.worker().BeginCapture());
        rig.Forward(78);
        rig.runtime().BeginCapture(rig.stream());
        rig.Forward(51, /*micro_batch=*/0);
        rig.Forward(51, /*micro_batch=*/0);
        graph = rig.runtime().EndCapture(rig.stream());
        ExpectOk(rig.worker().EndCapture());
      }
      for (uint64_t replay = 0; replay < step % 4; ++replay) rig.runtime().LaunchGraph(graph, rig.stream());
      rig.Forward(50, /*micro_batch=*/0);  // recomputed
      rig.Forward(52, /*micro_batch=*/1);
      ExpectOk(rig.worker().Commit(step, true));
    }
  };
  ExpectSame(Options(), train, [](Rig& rig) {
    for (uint64_t step = 1; step <= kSteps; ++step) {
      rig.Begin(step);
      rig.Forward(50);
      for (uint64_t replay = 0; replay < step % 4; ++replay) rig.Forward(51);
      rig.Forward(52);
      ExpectOk(rig.worker().Commit(step, true));
    }
  });
}

TEST(DeviceCountingTest, Pitfall03ARecomputedForwardIsCountedOnce) {
  ExpectSame(
      Options(),
      [](Rig& rig) {
        for (uint64_t step = 1; step <= kSteps; ++step) {
          rig.Begin(step);
          rig.Forward(step, 0);
          rig.Forward(step + 100, 1);
          rig.Forward(step + 100, 1);
          rig.Forward(step, 0);
          ExpectOk(rig.worker().Commit(step, true));
        }
      },
      TrainPlainly);
}

// Before the first step, within one, and between two. Nothing waits for it, and what is not counted does not run.
TEST(DeviceCountingTest, Pitfall08EvaluationIsNotCounted) {
  ExpectSame(
      Options(),
      [](Rig& rig) {
        const auto evaluate = [&](uint64_t seed) {
          ExpectOk(rig.worker().SetCounting(Counting::kEvaluate));
          const int before = rig.runtime().CountOf(rig.stream()).kernels;
          rig.Forward(seed);
          EXPECT_EQ(rig.runtime().CountOf(rig.stream()).kernels, before + 1) << "the router alone";
          ExpectOk(rig.worker().SetCounting(Counting::kTrain));
        };
        for (uint64_t step = 1; step <= kSteps; ++step) {
          evaluate(step);
          rig.Begin(step);
          rig.Forward(step);
          evaluate(step + 7);
          rig.Forward(step + 100);
          ExpectOk(rig.worker().Commit(step, true));
        }
      },
      TrainPlainly);
}

TEST(DeviceCountingTest, EvaluatesWithTheBiasOfTheJoinBeforeAnyStep) {
  WorkerOptions options = Options();
  options.layers[kRouted].initial_bias = {9, 9, 0, 0, 0, 0, 0, 0};
  for (int seed = 0; seed < 20; ++seed) {
    Rig rig(options, seed, /*threads=*/false);
    ExpectOk(rig.worker().SetCounting(Counting::kEvaluate));
    Tokens tokens;
    tokens.rows = kRows;
    tokens.logits = rig.Array(Logits(seed));
    int32_t* const ids = rig.Array(std::vector<int32_t>(kRows * kTopK));
    ExpectOk(rig.worker().Route(kRouted, tokens, {ids, nullptr}));
    rig.runtime().RunAll();
    for (int64_t slot = 0; slot < kRows * kTopK; ++slot) EXPECT_LT(ids[slot], 2) << "seed " << seed;
  }
}

TEST(DeviceCountingTest, Pitfall30NothingRemainsOfADryRun) {
  for (const int lag : {0, 1}) {
    WorkerOptions options = Options();
    options.lag = lag;
    ExpectSame(
        options,
        [](Rig& rig) {
          for (uint64_t step = 1; step <= kSteps; ++step) {
            ExpectOk(rig.worker().SetCounting(Counting::kDryRun));
            for (int run = 0; run < 2; ++run) {
              ExpectOk(rig.worker().BeginStep(step));
              rig.Forward(step + 31, 0);
              ExpectOk(rig.worker().Commit(step, run == 0));
            }
            ExpectOk(rig.worker().SetCounting(Counting::kTrain));
            rig.Begin(step);
            rig.Forward(step, 0);
            rig.Forward(step + 100, 1);
            ExpectOk(rig.worker().Commit(step, true));
          }
        },
        TrainPlainly);
  }
}

// A graph that was captured in a dry run counts into the step that it is replayed in, as any.
TEST(DeviceCountingTest, Pitfall30AGraphMayBeCapturedInADryRun) {
  const auto train = [](Rig& rig) {
    TestGraph graphs[2];
    for (uint64_t step = 1; step <= kSteps; ++step) {
      if (graphs[step % 2].empty()) {
        ExpectOk(rig.worker().SetCounting(Counting::kDryRun));
        ExpectOk(rig.worker().BeginStep(step));
        rig.Forward(3);
        rig.runtime().BeginCapture(rig.stream());
        rig.Forward(51);
        graphs[step % 2] = rig.runtime().EndCapture(rig.stream());
        rig.runtime().LaunchGraph(graphs[step % 2], rig.stream());
        ExpectOk(rig.worker().Commit(step, true));
        ExpectOk(rig.worker().SetCounting(Counting::kTrain));
      }
      rig.Begin(step);
      rig.runtime().LaunchGraph(graphs[step % 2], rig.stream());
      ExpectOk(rig.worker().Commit(step, true));
    }
  };
  ExpectSame(Options(), train, [](Rig& rig) {
    for (uint64_t step = 1; step <= kSteps; ++step) {
      rig.Begin(step);
      rig.Forward(51);
      ExpectOk(rig.worker().Commit(step, true));
    }
  });
}

// Steps that are replayed, skipped, or both, under both policies: what the device makes of them by itself is what the
// host makes.
TEST(DeviceCountingTest, Pitfall24ReplaysMoveNothing) {
  const auto train = [](Rig& rig) {
    for (uint64_t step = 1; step <= kSteps; ++step) {
      const bool replays = step % 4 >= 2;
      ExpectOk(rig.worker().SetCounting(replays ? Counting::kReplay : Counting::kTrain));
      rig.Begin(step);
      Tokens tokens;
      tokens.rows = kRows;
      tokens.logits = rig.Array(Logits(step));
      if (replays) tokens.replay_ids = rig.Array(SomeIds(step));
      ExpectOk(rig.worker().Route(kRouted, tokens, {}));
      ExpectOk(rig.worker().Commit(step, step % 3 != 0));
    }
  };
  for (const OnSkip on_skip : {OnSkip::kDrop, OnSkip::kApply}) {
    WorkerOptions options = Options();
    options.on_skip = on_skip;
    ExpectSame(options, train, train);
  }
}

TEST(DeviceCountingTest, CapturesBeginAndEndOutsideOfTheStreamsOwn) {
  Rig rig(Options(), 1, /*threads=*/false);
  rig.Begin(1);
  rig.runtime().BeginCapture(rig.stream());
  const absl::Status begun = rig.worker().BeginCapture();
  EXPECT_EQ(begun.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(begun.message()), HasSubstr("BeginCapture: the stream is capturing a graph"));
  rig.runtime().EndCapture(rig.stream());
  ExpectOk(rig.worker().BeginCapture());
  rig.runtime().BeginCapture(rig.stream());
  const absl::Status ended = rig.worker().EndCapture();
  EXPECT_EQ(ended.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ended.message()), HasSubstr("EndCapture: the stream is capturing a graph"));
  rig.runtime().EndCapture(rig.stream());
  ExpectOk(rig.worker().EndCapture());
  ExpectOk(rig.worker().Commit(1, true));
  ExpectOk(rig.worker().Leave());
}

// The copies of a capture are in the training stream, and the host waits for none.
TEST(DeviceCountingTest, ACaptureWaitsForNothing) {
  Rig rig(Options(), 1, /*threads=*/false);
  rig.Begin(1);
  ExpectOk(rig.worker().BeginCapture());
  ExpectOk(rig.worker().EndCapture());
  const int before = rig.runtime().CountOf(rig.stream()).copies;
  const int waits = rig.runtime().CountOfAll().waits;
  ExpectOk(rig.worker().BeginCapture());
  ExpectOk(rig.worker().EndCapture());
  EXPECT_EQ(rig.runtime().CountOf(rig.stream()).copies, before + 2);
  EXPECT_EQ(rig.runtime().CountOfAll().waits, waits);
  ExpectOk(rig.worker().Commit(1, true));
  ExpectOk(rig.worker().Leave());
}

TEST(DeviceCountingTest, AnObservedJobRoutesWithABiasOfZero) {
  WorkerOptions options = Options();
  options.mode = JobMode::kObserve;
  for (int seed = 0; seed < 5; ++seed) {
    Rig rig(options, seed, /*threads=*/false);
    TrainPlainly(rig);
    ExpectOk(rig.worker().Leave());
    for (const std::vector<float>& bias : rig.Biases()) EXPECT_EQ(bias, std::vector<float>(kExperts));
    EXPECT_EQ(rig.worker().report().bias_hash, 0);
    EXPECT_EQ(rig.worker().report().tokens, 2 * kRows);
  }
}

}  // namespace
}  // namespace evenkeel::client
