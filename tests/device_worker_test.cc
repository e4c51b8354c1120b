// Workers that count on a device, without one (TestRuntime, and the double of libnccl): alone and in groups, with and
// without a coordinator, they have the bias of the worker on the host, bit for bit; and what goes wrong is an error in
// time, never a hang.

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "client/device/test_runtime.h"
#include "client/link/scripted_coordinator.h"
#include "client/reduce/fake_nccl_path.h"
#include "client/reduce/forked_process.h"
#include "client/reduce/nccl_library.h"
#include "client/worker/worker.h"
#include "config/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/reference_model.h"
#include "tests/evenkeeld_process.h"

namespace evenkeel::client {
namespace {

using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kExperts[] = {8, 5};
// The second layer's workers also tell what a capacity limit left.
constexpr int kStreams[] = {1, 2};
constexpr int kLayers = 2;
constexpr int kBiases[] = {8, 10};
constexpr int kTopK = 2;
constexpr uint64_t kSteps = 60;

// What `rank` counts at a stream of `layer` in `step`.
struct Counted {
  std::vector<uint64_t> counts;
  uint64_t tokens = 0;
  std::vector<uint64_t> dispatched = {};
};

Counted CountsOf(uint64_t step, int rank, int layer, int stream) {
  std::mt19937_64 random(step * 1009 + rank * 31 + layer + 17 * stream);
  Counted counted;
  counted.counts.resize(kExperts[layer]);
  counted.tokens = random() % 64;
  for (uint64_t token = 0; token < counted.tokens; ++token) {
    const uint64_t first = std::min(random() % kExperts[layer], random() % kExperts[layer]);
    ++counted.counts[first];
    ++counted.counts[(first + 1 + random() % (kExperts[layer] - 1)) % kExperts[layer]];
  }
  for (const uint64_t count : counted.counts) counted.dispatched.push_back(count - count / 4);
  return counted;
}

bool StepTaken(uint64_t step, int rank) { return std::mt19937_64(step * 7919 + rank)() % 17 != 0; }

bool StepReplayed(uint64_t step, int rank) { return std::mt19937_64(step * 104'729 + rank)() % 19 == 0; }

// The device of the worker that this thread joined last, which belongs to the worker.
thread_local TestRuntime* device = nullptr;

template <bool kThreads>
absl::StatusOr<std::unique_ptr<DeviceRuntime>> MakeTestRuntime(int seed) {
  TestRuntimeOptions options;
  options.seed = seed;
  options.threads = kThreads;
  auto runtime = std::make_unique<TestRuntime>(options);
  device = runtime.get();
  return runtime;
}

// A worker and what it trains: on its device, or on the host.
class Trainer {
 public:
  // Counts for `counted_ranks` ranks, from its own on.
  absl::Status Join(const WorkerOptions& options, int counted_ranks = 1) {
    options_ = options;
    counted_ranks_ = counted_ranks;
    absl::StatusOr<std::unique_ptr<Worker>> worker =
        Worker::Join(options, options.device % 2 == 0 ? MakeTestRuntime<false> : MakeTestRuntime<true>);
    if (!worker.ok()) return worker.status();
    worker_ = *std::move(worker);
    device_ = options.device >= 0 ? device : nullptr;
    return absl::OkStatus();
  }
  ~Trainer() { End(); }

  // What is still enqueued may read what was counted.
  void End() {
    worker_.reset();
    counts_.clear();
  }

  // Among what is counted there is what is not: dry runs, evaluations, and everything once more.
  absl::Status Step(uint64_t step) {
    absl::Status status;
    if (step % 4 == 2) status = DryRun(step);
    if (status.ok()) status = worker_->SetCounting(Replays(step) ? Counting::kReplay : Counting::kTrain);
    if (status.ok()) status = worker_->BeginStep(step);
    if (!status.ok()) return status;
    Note();
    status = Count(step);
    if (status.ok()) status = worker_->SetCounting(Counting::kEvaluate);
    if (status.ok()) status = Count(step + 5);
    if (status.ok()) status = worker_->SetCounting(Replays(step) ? Counting::kReplay : Counting::kTrain);
    if (status.ok()) status = Count(step);
    return status.ok() ? worker_->Commit(step, Taken(step)) : status;
  }

  absl::Status Train(uint64_t first, uint64_t last) {
    for (uint64_t step = first; step <= last; ++step) {
      const absl::Status status = Step(step);
      if (!status.ok()) return absl::Status(status.code(), absl::StrCat("step ", step, ": ", status.message()));
    }
    return absl::OkStatus();
  }

  absl::Status Leave() {
    const absl::Status status = worker_->Leave();
    if (status.ok() && !std::exchange(left_, true)) Note();
    return status;
  }

  // Of every step, and of the end. After Leave.
  std::vector<std::vector<float>> Biases() {
    if (device_ != nullptr) device_->RunAll();
    std::vector<std::vector<float>> biases;
    for (const float* bias : noted_) biases.emplace_back(bias, bias + kBiases[0] + kBiases[1]);
    return biases;
  }

  Worker& worker() { return *worker_; }

 private:
  bool Taken(uint64_t step) const {
    bool all = true;
    for (int rank = options_.rank; rank < options_.rank + counted_ranks_; ++rank) all = all && StepTaken(step, rank);
    return all;
  }
  bool Replays(uint64_t step) const {
    bool any = false;
    for (int rank = options_.rank; rank < options_.rank + counted_ranks_; ++rank) {
      any = any || StepReplayed(step, rank);
    }
    return any;
  }

  // Every rank's counts as a micro-batch.
  absl::Status Count(uint64_t step) {
    for (int rank = options_.rank; rank < options_.rank + counted_ranks_; ++rank) {
      for (int layer = 0; layer < kLayers; ++layer) {
        for (int stream = 0; stream < kStreams[layer]; ++stream) {
          const absl::Status status = CountRow(CountsOf(step, rank, layer, stream), layer, stream, rank);
          if (!status.ok()) return status;
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status CountRow(const Counted& counted, int layer, int stream, int micro_batch) {
    Counts counts = {InReach(counted.counts), counted.tokens};
    counts.stream = stream;
    counts.micro_batch = micro_batch;
    const absl::Status status = worker_->AddCounts(layer, counts);
    if (!status.ok() || kStreams[layer] == 1) return status;
    counts.counts = InReach(counted.dispatched);
    return worker_->AddDispatched(layer, counts);
  }

  absl::Status DryRun(uint64_t step) {
    absl::Status status = worker_->SetCounting(Counting::kDryRun);
    if (status.ok()) status = worker_->BeginStep(step);
    if (status.ok()) status = Count(step + 9);
    return status.ok() ? worker_->Commit(step, true) : status;
  }

  // Keeps the bias as it is for what comes next on the stream.
  void Note() {
    if (device_ == nullptr) {
      kept_.emplace_back();
      for (int layer = 0; layer < kLayers; ++layer) {
        kept_.back().insert(kept_.back().end(), worker_->bias(layer), worker_->bias(layer) + kBiases[layer]);
      }
      noted_.push_back(kept_.back().data());
      return;
    }
    auto* const bias = static_cast<float*>(device_->AllocatePinned((kBiases[0] + kBiases[1]) * sizeof(float)).value());
    EXPECT_TRUE(device_->Copy(bias, worker_->bias(0), kBiases[0] * sizeof(float), nullptr).ok());
    EXPECT_TRUE(device_->Copy(bias + kBiases[0], worker_->bias(1), kBiases[1] * sizeof(float), nullptr).ok());
    noted_.push_back(bias);
  }

  // Where the worker reads it.
  const uint64_t* InReach(const std::vector<uint64_t>& counts) {
    if (device_ == nullptr) {
      counts_.push_back(counts);
      return counts_.back().data();
    }
    auto* const memory = static_cast<uint64_t*>(device_->Allocate(counts.size() * sizeof(uint64_t)).value());
    std::memcpy(memory, counts.data(), counts.size() * sizeof(uint64_t));
    return memory;
  }

  WorkerOptions options_;
  int counted_ranks_ = 1;
  bool left_ = false;
  TestRuntime* device_ = nullptr;
  std::vector<std::vector<uint64_t>> counts_;
  std::deque<std::vector<float>> kept_;
  std::vector<const float*> noted_;
  std::unique_ptr<Worker> worker_;
};

WorkerOptions Options() {
  setenv("EVENKEEL_NCCL_LIBRARY", kFakeNcclPath, 1);
  WorkerOptions options;
  options.coordinator = "";
  options.job = "run";
  options.layers = {{"b", kExperts[0], kTopK, ""}, {"a", kExperts[1], kTopK, ""}};
  options.layers[1].streams = kStreams[1];
  options.layers[1].counts_dispatched = true;
  options.group.timeout = milliseconds(60'000);
  options.loss.on_loss = OnLoss::kWait;
  return options;
}

std::string NewStore() {
  std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/store-XXXXXX");
  return absl::StrCat("file://", mkdtemp(folder.data()));
}

// Rank by rank, each on a thread of its own.
void ForEachRank(int ranks, const std::function<void(int)>& run) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) threads.emplace_back(run, rank);
  for (std::thread& thread : threads) thread.join();
}

// ---------------------------------------------------------------------------------------------------------------------
// Processes that are lost. First of all, before there are threads.

std::string Outcome(const absl::Status& status) {
  return status.ok() ? "OK" : absl::StrCat(absl::StatusCodeToString(status.code()), " ", status.message());
}

// Trains until told to end, or until an error; says what it met, and then that all of it has ended.
void TrainUntilError(const std::string& store, int rank, Talk& talk) {
  WorkerOptions options = Options();
  options.rank = rank;
  options.world_size = 3;
  options.group.name = "world";
  options.group.store = store;
  options.group.timeout = milliseconds(5'000);
  options.device = 1;
  {
    Trainer trainer;
    absl::Status status = trainer.Join(options);
    for (uint64_t step = 1; status.ok(); ++step) {
      status = trainer.Step(step);
      if (step == 5) talk.Say("at step 5");
    }
    talk.Say(Outcome(status));
  }
  talk.Say("ended");
}

TEST(DeviceWorkerProcessTest, ARankThatIsLostIsAnErrorOnTheOthers) {
  for (const int signal : {SIGKILL, SIGSTOP}) {
    for (const int lost : {0, 2}) {
      SCOPED_TRACE(absl::StrCat(signal == SIGKILL ? "killed" : "stopped", ": rank ", lost));
      const std::string store = NewStore();
      std::vector<std::unique_ptr<ForkedProcess>> ranks;
      for (int rank = 0; rank < 3; ++rank) {
        ranks.push_back(
            std::make_unique<ForkedProcess>([store, rank](Talk& talk) { TrainUntilError(store, rank, talk); }));
      }
      for (const auto& rank : ranks) ASSERT_EQ(rank->Hear(), "at step 5");
      ranks[lost]->Signal(signal);
      for (int rank = 0; rank < 3; ++rank) {
        if (rank == lost) continue;
        // The first to give up is lost to the others.
        EXPECT_THAT(ranks[rank]->Hear(), AnyOf(StartsWith("UNAVAILABLE"), StartsWith("DEADLINE_EXCEEDED")));
        EXPECT_EQ(ranks[rank]->Hear(), "ended");
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// One rule, whatever the way that counts take

struct Mode {
  std::string name;
  int world_size = 1;
  bool coordinator = false;
  std::string group;
  int expert_parallel_size = 0;
  std::string reducer;
};

class DeviceWorkerTest : public testing::TestWithParam<Mode> {
 protected:
  static void SetUpTestSuite() {
    tests::EvenkeeldProcess::Options options;
    options.state_dir = NewStore().substr(std::strlen("file://"));
    auto process = tests::EvenkeeldProcess::Start(options);
    ASSERT_TRUE(process.ok()) << process.status();
    coordinator_ = process->release();
  }
  static void TearDownTestSuite() { delete std::exchange(coordinator_, nullptr); }

  // The bias of every step, and of the end, as job::ReferenceModel has it.
  static std::vector<std::vector<float>> Reference(const WorkerOptions& options, int ranks, uint64_t steps) {
    v1::JobSpec spec;
    spec.set_name("run");
    spec.set_contributors(ranks);
    spec.set_lag(options.lag);
    if (options.on_skip == OnSkip::kApply) spec.set_skip_policy(v1::JobSpec::SkipPolicy::APPLY);
    EXPECT_TRUE(config::ParseText(options.balance, "balance", spec.mutable_balance()).ok());
    for (const LayerOptions& layer : options.layers) {
      v1::LayerSpec* const of = spec.add_layers();
      of->set_name(layer.name);
      of->set_num_experts(layer.num_experts);
      of->set_top_k(layer.top_k);
      of->set_streams(layer.streams);
      of->set_counts_dispatched(layer.counts_dispatched);
      if (layer.balance.empty()) continue;
      v1::LayerOverride* const override = spec.add_overrides();
      override->set_layer(layer.name);
      EXPECT_TRUE(config::ParseText(layer.balance, "balance", override->mutable_balance()).ok());
    }
    const job::JobPlan plan = *job::PlanJob(spec, v1::BalanceConfig(), job::NoLimits());
    job::ReferenceModel::Options model;
    model.owned.assign(ranks, {0, 1, 2});
    // In protocol order the second comes first.
    model.count = [&plan](int rank, uint64_t step, int row) {
      const bool is_first = plan.layers[row].name == "b";
      const Counted counted = CountsOf(step, rank, is_first ? 0 : 1, plan.layers[row].stream);
      job::ReferenceModel::LayerCounts counts = {counted.counts, counted.tokens};
      if (!is_first) counts.dispatched = counted.dispatched;
      return counts;
    };
    model.ok = [](int rank, uint64_t step) { return StepTaken(step, rank); };
    model.replayed = [](int rank, uint64_t step) { return StepReplayed(step, rank); };
    const std::vector<job::JobState> states = job::ReferenceModel(&plan, model).Trajectory(steps);
    std::vector<std::vector<float>> biases;
    for (uint64_t step = 1; step <= steps; ++step) {
      biases.push_back(BiasOf(states[step > uint64_t(options.lag) ? step - 1 - options.lag : 0]));
    }
    biases.push_back(BiasOf(states[steps]));
    return biases;
  }

  static std::vector<float> BiasOf(const job::JobState& state) {
    std::vector<float> bias;
    for (const int row : {2, 0, 1}) {
      const std::vector<float>& of_row = state.layers[row].balance.bias;
      bias.insert(bias.end(), of_row.begin(), of_row.end());
    }
    return bias;
  }

  // Every rank with `options`, but for its place in `mode`, has `expected` in every step.
  static void ExpectBiases(const Mode& mode, const WorkerOptions& options, uint64_t steps,
                           const std::vector<std::vector<float>>& expected) {
    const std::string store = NewStore();
    ForEachRank(mode.world_size, [&](int rank) {
      WorkerOptions own = options;
      if (mode.coordinator) own.coordinator = coordinator_->address();
      own.rank = rank;
      own.world_size = mode.world_size;
      own.group.name = mode.group;
      own.group.expert_parallel_size = mode.expert_parallel_size;
      if (!mode.group.empty()) own.group.store = store;
      own.group.reducer = mode.reducer;
      own.device = rank;
      Trainer trainer;
      absl::Status status = trainer.Join(own);
      if (status.ok()) status = trainer.Train(1, steps);
      if (status.ok()) status = trainer.Leave();
      ASSERT_TRUE(status.ok()) << "rank " << rank << ": " << status;
      EXPECT_TRUE(trainer.Leave().ok()) << "once more is no error";
      const auto biases = trainer.Biases();
      ASSERT_EQ(biases.size(), steps + 1);
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(biases[i], expected[i]) << "rank " << rank << ", step " << i + 1;
      }
      const StepReport& report = trainer.worker().report();
      EXPECT_EQ(report.step, steps);
      EXPECT_EQ(report.staleness, 0);
      EXPECT_EQ(report.undelivered_steps, 0);
      EXPECT_EQ(report.bias_hash == 0, own.mode == JobMode::kObserve);
    });
  }

  static inline tests::EvenkeeldProcess* coordinator_ = nullptr;
};

TEST_P(DeviceWorkerTest, HasTheBiasOfTheReference) {
  const Mode& mode = GetParam();
  for (const char* const balance :
       {"preset: loss_free", "preset: deepseek_v3", "preset: megatron", "preset: torchtitan",
        "preset: axolotl_noaux_tc", "preset: evenkeel",
        "{preset: evenkeel, warmup_steps: 7, schedule: {kind: LINEAR, begin: 10, end: 50, final_ratio: 0.1}}"}) {
    for (const int lag : {0, 1}) {
      SCOPED_TRACE(absl::StrCat(balance, ", lag ", lag));
      WorkerOptions options = Options();
      options.job = absl::StrCat(mode.name, ".", std::hash<std::string>()(balance), ".", lag);
      options.balance = balance;
      options.lag = lag;
      ExpectBiases(mode, options, kSteps, Reference(options, mode.world_size, kSteps));
    }
  }
}

// What a job does with what it counts: a skipped step is applied, layers have settings of their own; a bias that never
// moves; and none.
TEST_P(DeviceWorkerTest, HasTheBiasThatTheJobsModeGives) {
  const Mode& mode = GetParam();
  constexpr uint64_t kFewSteps = 24;
  WorkerOptions options = Options();
  options.job = mode.name + ".applies";
  options.balance = "preset: evenkeel";
  options.on_skip = OnSkip::kApply;
  options.layers[0].balance = "{preset: loss_free, rate: 0.25, target: [0.1, 0.1, 0.2, 0.2, 0.2, 0.2, -1, -1]}";
  const auto applied = Reference(options, mode.world_size, kFewSteps);
  EXPECT_NE(applied.front(), applied.back());
  ExpectBiases(mode, options, kFewSteps, applied);

  options = Options();
  options.job = mode.name + ".frozen";
  options.mode = JobMode::kFrozen;
  for (LayerOptions& layer : options.layers) {
    for (int i = 0; i < layer.streams * layer.num_experts; ++i) layer.initial_bias.push_back(0.125f * i);
  }
  std::vector<float> first = options.layers[0].initial_bias;
  first.insert(first.end(), options.layers[1].initial_bias.begin(), options.layers[1].initial_bias.end());
  ExpectBiases(mode, options, kFewSteps, std::vector<std::vector<float>>(kFewSteps + 1, first));

  options = Options();
  options.job = mode.name + ".observed";
  options.mode = JobMode::kObserve;
  const std::vector<float> none(first.size());
  ExpectBiases(mode, options, kFewSteps, std::vector<std::vector<float>>(kFewSteps + 1, none));
}

INSTANTIATE_TEST_SUITE_P(Modes, DeviceWorkerTest,
                         testing::Values(Mode{"alone", 1, false, "", 0, ""}, Mode{"coordinator", 1, true, "", 0, ""},
                                         Mode{"two_ranks_with_coordinator", 2, true, "", 0, ""},
                                         Mode{"group", 3, false, "world", 0, ""},
                                         Mode{"group_with_coordinator", 3, true, "world", 0, ""},
                                         Mode{"groups_with_coordinator", 4, true, "ep", 2, ""},
                                         Mode{"gloo", 2, false, "world", 0, "gloo"},
                                         Mode{"gloo_with_coordinator", 2, true, "world", 0, "gloo"}),
                         [](const auto& info) { return info.param.name; });

// ---------------------------------------------------------------------------------------------------------------------
// Two ranks of one group

class PairOfWorkersTest : public testing::Test {
 protected:
  WorkerOptions OptionsOf(int rank, bool coordinator) {
    WorkerOptions options = Options();
    if (coordinator) options.coordinator = coordinator_.address();
    options.rank = rank;
    options.world_size = 2;
    options.group.name = "world";
    options.group.store = store_;
    options.device = rank;
    return options;
  }

  const std::string store_ = NewStore();
  ScriptedCoordinator coordinator_;
};

// Communicators that the trainer has made, and has used before.
TEST_F(PairOfWorkersTest, ReduceByACommunicatorOfTheTrainers) {
  setenv("EVENKEEL_NCCL_LIBRARY", kFakeNcclPath, 1);
  const auto library = OpenNccl().value();
  NcclUniqueId id;
  ASSERT_EQ(library->GetUniqueId(&id), nccl::kSuccess);
  std::vector<std::vector<float>> biases[2];
  ForEachRank(2, [&](int rank) {
    NcclComm comm = nullptr;
    NcclConfig config;
    ASSERT_EQ(library->CommInitRankConfig(&comm, 2, id, rank, &config), nccl::kInProgress);
    const auto settle = [&] {
      int state = nccl::kInProgress;
      while (state == nccl::kInProgress) ASSERT_EQ(library->CommGetAsyncError(comm, &state), nccl::kSuccess);
      ASSERT_EQ(state, nccl::kSuccess);
    };
    settle();
    TestRuntimeOptions runtime_options;
    runtime_options.threads = true;
    TestRuntime own(runtime_options);
    const DeviceStream stream = own.CreateStream().value();
    void* const memory = own.Allocate(8).value();
    library->AllReduce(memory, memory, 1, nccl::kUint64, nccl::kSum, comm, stream);
    settle();
    own.RunAll();
    own.Free(memory);
    {
      WorkerOptions options = OptionsOf(rank, /*coordinator=*/false);
      options.group.nccl_comm = comm;
      Trainer trainer;
      absl::Status status = trainer.Join(options);
      if (status.ok()) status = trainer.Train(1, 20);
      if (status.ok()) status = trainer.Leave();
      EXPECT_TRUE(status.ok()) << status;
      if (status.ok()) biases[rank] = trainer.Biases();
    }
    settle();
    library->CommDestroy(comm);
  });
  EXPECT_EQ(biases[0], biases[1]);
  Trainer alone;
  ASSERT_TRUE(alone.Join(Options(), /*counted_ranks=*/2).ok());
  ASSERT_TRUE(alone.Train(1, 20).ok());
  ASSERT_TRUE(alone.Leave().ok());
  EXPECT_EQ(alone.Biases(), biases[0]);
}

TEST_F(PairOfWorkersTest, FollowersGetTheSentenceOfTheLeadersCoordinator) {
  for (int i = 0; i < 2; ++i) {
    coordinator_.ScriptPush([this](const auto& push, auto* version) { return coordinator_.AnswerPush(push, version); });
  }
  coordinator_.ScriptPush([](const auto&, auto*) {
    return ServiceError(absl::StatusCode::kPermissionDenied, v1::ErrorDetail::NOT_ALLOWED, "not in my house");
  });
  std::atomic<int> heard = 0;
  ForEachRank(2, [&](int rank) {
    Trainer trainer;
    absl::Status status = trainer.Join(OptionsOf(rank, /*coordinator=*/true));
    if (status.ok()) status = trainer.Train(1, 100);
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << "rank " << rank << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not in my house"));
    ++heard;
    while (heard < 2) std::this_thread::yield();
  });
}

// A coordinator that is away: all ranks go on with the bias that they have, and leave when it is back.
TEST_F(PairOfWorkersTest, HoldTogether) {
  std::vector<std::vector<float>> biases[2];
  std::atomic<int> ready = 0;
  std::atomic<bool> away = false;
  std::atomic<bool> back = false;
  std::thread outage([&] {
    while (ready < 2) std::this_thread::yield();
    coordinator_.Stop();
    away = true;
    while (ready < 4) std::this_thread::yield();
    coordinator_.Start(/*epoch=*/1);
    back = true;
  });
  ForEachRank(2, [&](int rank) {
    WorkerOptions options = OptionsOf(rank, /*coordinator=*/true);
    options.loss.on_loss = OnLoss::kHold;
    options.loss.patience = milliseconds(100);
    options.begin_step_timeout = milliseconds(120'000);
    Trainer trainer;
    ASSERT_TRUE(trainer.Join(options).ok());
    ASSERT_TRUE(trainer.Train(1, 4).ok());
    ++ready;
    while (!away) std::this_thread::yield();
    const absl::Status status = trainer.Train(5, 24);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_TRUE(rank == 1 || trainer.worker().report().staleness > 10);
    ++ready;
    while (!back) std::this_thread::yield();
    const absl::Status left = trainer.Leave();
    EXPECT_TRUE(left.ok()) << left;
    EXPECT_EQ(trainer.worker().report().step, 24) << "rank " << rank;
    EXPECT_EQ(trainer.worker().report().staleness, 0) << "rank " << rank;
    if (left.ok()) biases[rank] = trainer.Biases();
  });
  outage.join();
  ASSERT_EQ(biases[0].size(), 25);
  EXPECT_EQ(biases[0], biases[1]);
  EXPECT_EQ(biases[0][6], biases[0][23]) << "the same bias all the time";
  EXPECT_NE(biases[0][23], biases[0][24]);
}

// The followers are told how old their bias is, too.
TEST_F(PairOfWorkersTest, AFollowerKnowsTheStaleness) {
  std::atomic<int> done = 0;
  ForEachRank(2, [&](int rank) {
    WorkerOptions options = OptionsOf(rank, /*coordinator=*/true);
    options.loss.on_loss = OnLoss::kHold;
    options.loss.patience = milliseconds(20);
    Trainer trainer;
    ASSERT_TRUE(trainer.Join(options).ok());
    if (rank == 0) {
      for (int i = 0; i < 3; ++i) {
        coordinator_.ScriptPush([this](const auto& push, auto* to) { return coordinator_.AnswerPush(push, to); });
      }
      coordinator_.ScriptPush([this](const auto&, auto*) { return coordinator_.Park(); });
    }
    EXPECT_TRUE(trainer.Train(1, 14).ok());
    const StepReport& report = trainer.worker().report();
    // In step 14 that of 13 is due, and of 3 there; a follower has heard so some steps later.
    EXPECT_TRUE(rank == 1 || report.staleness == 10);
    EXPECT_EQ(report.step, 3) << "rank " << rank;
    EXPECT_GE(report.staleness, 6) << "rank " << rank;
    EXPECT_LE(report.staleness, 10) << "rank " << rank;
    ++done;
    while (done < 2) std::this_thread::yield();
  });
}

TEST_F(PairOfWorkersTest, MayEndWithoutALeaveAtAnyMoment) {
  for (const bool coordinator : {false, true}) {
    for (const int gone : {0, 1}) {
      for (const bool in_step : {false, true}) {
        SCOPED_TRACE(
            absl::StrCat(coordinator ? "with" : "without", " a coordinator, rank ", gone, in_step ? " in a step" : ""));
        const std::string store = NewStore();
        ScriptedCoordinator own;
        ForEachRank(2, [&](int rank) {
          WorkerOptions options = OptionsOf(rank, coordinator);
          if (coordinator) options.coordinator = own.address();
          options.group.store = store;
          options.group.timeout = milliseconds(10'000);
          options.device = 1;
          Trainer trainer;
          ASSERT_TRUE(trainer.Join(options).ok());
          ASSERT_TRUE(trainer.Train(1, 3).ok());
          if (rank == gone) {
            EXPECT_TRUE(!in_step || trainer.worker().BeginStep(4).ok());
            return;
          }
          const absl::Status status = trainer.Train(4, 1'000'000);
          EXPECT_THAT(status.code(), AnyOf(absl::StatusCode::kUnavailable, absl::StatusCode::kDeadlineExceeded,
                                           absl::StatusCode::kCancelled))
              << status;
        });
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// One rank

TEST(OneDeviceWorkerTest, WhatTheDeviceRefusesIsALaterError) {
  for (const bool with_coordinator : {false, true}) {
    ScriptedCoordinator coordinator;
    WorkerOptions options = Options();
    if (with_coordinator) options.coordinator = coordinator.address();
    options.device = 0;
    Trainer trainer;
    ASSERT_TRUE(trainer.Join(options).ok());
    ASSERT_TRUE(trainer.Step(1).ok());
    ASSERT_TRUE(trainer.worker().BeginStep(2).ok());
    auto* const ids = static_cast<int32_t*>(device->Allocate(2 * sizeof(int32_t)).value());
    ids[0] = 8;
    EXPECT_TRUE(trainer.worker().Count(0, {1, ids, 0, nullptr, IntType::kInt32}).ok());
    EXPECT_TRUE(trainer.worker().Commit(2, true).ok());
    absl::Status status;
    for (uint64_t step = 3; status.ok(); ++step) status = trainer.Step(step);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("layer \"b\": in step 2 1 rows"));
    EXPECT_EQ(trainer.worker().Leave(), status);
  }
}

TEST(OneDeviceWorkerTest, LeavesBeforeItsFirstStep) {
  WorkerOptions options = Options();
  options.device = 0;
  Trainer trainer;
  ASSERT_TRUE(trainer.Join(options).ok());
  EXPECT_TRUE(trainer.Leave().ok());
}

TEST(OneDeviceWorkerTest, EndsWhileItsCountsAreOnTheirWay) {
  for (const bool with_coordinator : {false, true}) {
    for (int seed = 0; seed < 20; ++seed) {
      ScriptedCoordinator coordinator;
      WorkerOptions options = Options();
      if (with_coordinator) options.coordinator = coordinator.address();
      options.lag = with_coordinator ? 0 : seed % 2;
      options.device = seed;
      Trainer trainer;
      ASSERT_TRUE(trainer.Join(options).ok());
      ASSERT_TRUE(trainer.Train(1, 1 + seed % 3).ok());
    }
  }
}

}  // namespace
}  // namespace evenkeel::client
