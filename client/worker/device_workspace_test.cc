// A workspace on a device: the numbers of the one on the host, whatever order streams run in and however far the host
// is ahead; what is enqueued, and that nothing else is; and groups, whose ranks are two workspaces of this process,
// over the double of libnccl.

#include "client/worker/device_workspace.h"

#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/device/test_runtime.h"
#include "client/device/test_stream.h"
#include "client/reduce/fake_nccl_path.h"
#include "client/reduce/nccl_library.h"
#include "client/reduce/nccl_reducer.h"
#include "client/reduce/store.h"
#include "client/worker/host_workspace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/job_state.h"
#include "job/step_sums.h"
#include "job/test_messages.h"

namespace evenkeel::client {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using Versions = DeviceWorkspaceOptions::Versions;

constexpr int kRouted = 0;
constexpr int kCounted = 1;
constexpr int kExperts[] = {8, 5};
constexpr int kTopK = 2;
constexpr int64_t kRows = 6;

// In protocol order, the one that is counted comes first. The one that is routed has two streams, and counts what a
// capacity limit left.
const LayerTable& Layers() {
  static const auto* const layers = [] {
    LayerOptions routed = {"b.routed", kExperts[kRouted], kTopK, "score: SIGMOID"};
    routed.streams = 2;
    routed.counts_dispatched = true;
    return new LayerTable(*LayerTable::Make({routed, {"a.counted", kExperts[kCounted], kTopK, ""}}));
  }();
  return *layers;
}

const job::JobPlan& PlanWithLag(int lag) {
  static const std::vector<job::JobPlan>* const plans = [] {
    auto* const both = new std::vector<job::JobPlan>;
    for (const int lag : {0, 1}) {
      v1::JobSpec spec;
      spec.set_name("run");
      spec.set_contributors(1);
      spec.set_lag(lag);
      for (const v1::LayerSpec& layer : Layers().specs()) *spec.add_layers() = layer;
      both->push_back(job::TestPlan(spec));
    }
    return both;
  }();
  return (*plans)[lag];
}

// Every step has its own bias; that of step 0 is no other's.
v1::CommittedVersion VersionOf(uint64_t step) {
  v1::CommittedVersion version;
  version.mutable_version()->set_epoch(1);
  version.mutable_version()->set_step(step);
  version.set_ok(step % 5 != 0);
  version.set_state_hash(1000 + step);
  version.set_tokens(10 * step);
  for (int row = 0; row < Layers().total_rows(); ++row) version.add_max_violation(static_cast<float>(step + row));
  std::mt19937_64 random(step);
  for (int i = 0; i < Layers().total_experts(); ++i) version.add_bias(static_cast<float>(random() % 1000) / 500 - 1);
  return version;
}

// An array in the memory of the device.
template <typename T>
class Array {
 public:
  Array(TestRuntime* runtime, const std::vector<T>& values)
      : buffer_(DeviceBuffer<T>::OnDevice(runtime, values.size()).value()) {
    std::memcpy(buffer_.data(), values.data(), buffer_.bytes());
  }
  T* data() const { return buffer_.data(); }
  std::vector<T> Get() const { return std::vector<T>(data(), data() + buffer_.size()); }

 private:
  DeviceBuffer<T> buffer_;
};

// What a step is about: one micro-batch of every kind. What comes of it is written here, too.
struct StepData {
  explicit StepData(uint64_t seed)
      : logits(kRows * kExperts[kRouted]), weights(kRows * kTopK), routed_ids(kRows * kTopK), gradients(logits.size()) {
    std::mt19937_64 random(seed);
    for (float& logit : logits) logit = static_cast<float>(random() % 4000) / 1000 - 2;
    for (int64_t row = 0; row < kRows; ++row) {
      valid_mask.push_back(random() % 4 != 0);
      image_mask.push_back(valid_mask.back() == 0 && random() % 2 == 0);
      const int first = static_cast<int>(random() % kExperts[kCounted]);
      ids.push_back(first);
      ids.push_back(random() % 5 == 0 ? -1 : (first + 1) % kExperts[kCounted]);
    }
    for (int i = 0; i < kExperts[kCounted]; ++i) counts.push_back(kTopK * (random() % 9));
    for (const uint64_t count : counts) tokens += count / kTopK;
    for (int i = 0; i < kExperts[kRouted]; ++i) dispatched.push_back(random() % 9);
    ok = random() % 4 != 0;
  }

  std::vector<float> logits;
  std::vector<float> weights;
  std::vector<int32_t> routed_ids;
  std::vector<float> gradients;
  std::vector<uint8_t> valid_mask;
  std::vector<uint8_t> image_mask;
  std::vector<int64_t> ids;
  std::vector<uint64_t> counts;
  std::vector<uint64_t> dispatched;
  uint64_t tokens = 0;
  bool ok = true;
};

// The same in the memory of the device.
struct DeviceData {
  DeviceData(TestRuntime* runtime, const StepData& data)
      : logits(runtime, data.logits),
        weights(runtime, data.weights),
        routed_ids(runtime, data.routed_ids),
        gradients(runtime, data.gradients),
        valid_mask(runtime, data.valid_mask),
        image_mask(runtime, data.image_mask),
        ids(runtime, data.ids),
        counts(runtime, data.counts),
        dispatched(runtime, data.dispatched),
        tokens(data.tokens),
        ok(data.ok) {}

  Array<float> logits;
  Array<float> weights;
  Array<int32_t> routed_ids;
  Array<float> gradients;
  Array<uint8_t> valid_mask;
  Array<uint8_t> image_mask;
  Array<int64_t> ids;
  Array<uint64_t> counts;
  Array<uint64_t> dispatched;
  uint64_t tokens;
  bool ok;
};

template <typename Data>
void CountStep(Workspace* workspace, Data& data) {
  const auto expect_ok = [](const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; };
  Tokens tokens;
  tokens.rows = kRows;
  tokens.logits = data.logits.data();
  tokens.valid_mask = data.valid_mask.data();
  Assignments assignments;
  assignments.ids = data.routed_ids.data();
  assignments.weights = data.weights.data();
  expect_ok(workspace->Route(kRouted, tokens, assignments, /*counts=*/true));
  // Rows of the other stream, into the same arrays.
  tokens.valid_mask = data.image_mask.data();
  tokens.stream = 1;
  assignments.keep_masked = true;
  expect_ok(workspace->Route(kRouted, tokens, assignments, /*counts=*/true));
  Ids routed = {kRows, data.routed_ids.data(), 0, data.image_mask.data(), IntType::kInt32};
  routed.stream = 1;
  expect_ok(workspace->CountDispatched(kRouted, routed, /*counts=*/true));
  expect_ok(workspace->AddDispatched(kRouted, {data.dispatched.data()}, /*counts=*/true));
  Gradients gradients;
  gradients.ids = data.routed_ids.data();
  gradients.d_weights = data.weights.data();
  gradients.d_logits = data.gradients.data();
  expect_ok(workspace->RouteBackward(kRouted, tokens, gradients));
  expect_ok(workspace->Count(kCounted, {kRows, data.ids.data(), 0, data.valid_mask.data(), IntType::kInt64},
                             /*counts=*/true));
  expect_ok(workspace->AddCounts(kCounted, {data.counts.data(), data.tokens}, /*counts=*/true));
}

void ExpectOk(const absl::Status& status) { ASSERT_TRUE(status.ok()) << status; }

StepReport EmptyReport() {
  StepReport report;
  report.max_violation.resize(Layers().size());
  return report;
}

struct Mode {
  bool threads;
  Versions versions;
  int lag;
  bool every_version;  // else some steps go on with the bias that there is
};

// Nothing runs but when somebody asks whether it has, or at any time.
class DeviceWorkspaceTest : public testing::TestWithParam<Mode> {
 protected:
  static constexpr int kSeeds = 10;
  static constexpr uint64_t kSteps = 12;

  static std::unique_ptr<TestRuntime> NewRuntime(int seed) {
    TestRuntimeOptions options;
    options.seed = seed;
    options.threads = GetParam().threads;
    return std::make_unique<TestRuntime>(options);
  }

  static std::unique_ptr<Workspace> Make(TestRuntime* runtime) {
    DeviceWorkspaceOptions options;
    options.versions = GetParam().versions;
    options.lag = GetParam().lag;
    return DeviceWorkspace::Make(options, &Layers(), &PlanWithLag(GetParam().lag), runtime).value();
  }
};

// Takes the streams by turns, as a trainer does: each waits for the one before. Whatever a step counts and writes is
// compared at the end only.
TEST_P(DeviceWorkspaceTest, HasTheNumbersOfTheHost) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    const auto runtime = NewRuntime(seed);
    const auto device = Make(runtime.get());
    HostWorkspace host(&Layers());
    const bool made = GetParam().versions == Versions::kMade;
    job::JobState state = job::InitialJobState(PlanWithLag(GetParam().lag));
    std::vector<v1::CommittedVersion> made_versions;

    v1::CommittedVersion first = made ? *job::CommittedVersionOf(PlanWithLag(GetParam().lag), state) : VersionOf(0);
    ExpectOk(device->Adopt(first));
    ExpectOk(host.Adopt(first));
    const float* const addresses[] = {device->bias(kRouted), device->bias(kCounted)};
    DeviceStream streams[] = {runtime->CreateStream().value(), runtime->CreateStream().value()};
    const DeviceEvent changed = runtime->CreateEvent().value();
    DeviceStream stream = nullptr;

    std::vector<StepData> expected;
    std::vector<DeviceData> actual;
    std::vector<std::vector<uint64_t>> sums;
    std::vector<StepCountsPtr> arriving;
    std::vector<Array<float>> biases;
    std::vector<std::vector<float>> expected_biases;
    expected.reserve(kSteps + 1);
    actual.reserve(kSteps + 1);
    for (uint64_t step = 1; step <= kSteps; ++step) {
      expected.emplace_back(100 * seed + step);
      actual.emplace_back(runtime.get(), expected.back());
      if (random() % 3 == 0 || step == 1) {
        DeviceStream const next = streams[random() % 2];
        // Of the stream that there is before the first, the trainer knows nothing.
        if (step > 1) {
          ExpectOk(runtime->Record(changed, stream));
          ExpectOk(runtime->WaitOn(next, changed));
        }
        stream = next;
        ExpectOk(device->SetStream(stream));
      }
      const bool is_new = step > 1 && (GetParam().every_version || random() % 3 == 0);
      const v1::CommittedVersion version = VersionOf(step - 1);
      ExpectOk(device->BeginStep(step, is_new && !made ? &version : nullptr));
      const uint64_t due = step - 1 - GetParam().lag;
      const bool is_made = made && step > 1 && due >= 1;
      ExpectOk(host.BeginStep(step, is_made ? &made_versions[due - 1] : is_new && !made ? &version : nullptr));
      EXPECT_EQ(device->bias(kRouted), addresses[kRouted]);
      EXPECT_EQ(device->bias(kCounted), addresses[kCounted]);

      CountStep(device.get(), actual.back());
      CountStep(&host, expected.back());
      // What a trainer does with the bias in its own kernels.
      biases.emplace_back(runtime.get(), std::vector<float>(kExperts[kCounted]));
      ExpectOk(runtime->Copy(biases.back().data(), device->bias(kCounted), kExperts[kCounted] * sizeof(float), stream));
      expected_biases.emplace_back(host.bias(kCounted), host.bias(kCounted) + kExperts[kCounted]);

      absl::StatusOr<StepCountsPtr> counts = device->Commit(step, {actual.back().ok});
      ASSERT_TRUE(counts.ok()) << counts.status();
      EXPECT_EQ((*counts)->step, step);
      absl::StatusOr<StepCountsPtr> host_counts = host.Commit(step, {expected.back().ok});
      ASSERT_TRUE(host_counts.ok());
      sums.emplace_back((*host_counts)->sums().begin(), (*host_counts)->sums().end());
      if (made) {
        job::StepSums own(PlanWithLag(0).layers);
        own.counts.assign((*host_counts)->counts().begin(), (*host_counts)->counts().end());
        for (int i = 0; i < Layers().total_rows(); ++i) own.tokens[i] = (*host_counts)->totals()[i].tokens;
        job::CommitInputs inputs;
        inputs.version.set_step(step);
        inputs.ok = (*host_counts)->skips() == 0;
        job::CommitStep(PlanWithLag(GetParam().lag), inputs, own, &state);
        made_versions.push_back(*job::CommittedVersionOf(PlanWithLag(GetParam().lag), state));
      }
      arriving.push_back(*std::move(counts));
      // Some counts are taken at once, others late, and their memory goes round.
      while (!arriving.empty() && random() % 2 == 0) {
        const uint64_t of = arriving.front()->step;
        ExpectOk(arriving.front()->Arrive());
        ASSERT_THAT(arriving.front()->sums(), ElementsAreArray(sums[of - 1])) << "step " << of;
        arriving.erase(arriving.begin());
      }
    }
    for (const StepCountsPtr& counts : arriving) {
      ExpectOk(counts->Arrive());
      ASSERT_THAT(counts->sums(), ElementsAreArray(sums[counts->step - 1])) << "step " << counts->step;
    }
    arriving.clear();
    runtime->RunAll();
    for (uint64_t step = 1; step <= kSteps; ++step) {
      ASSERT_EQ(biases[step - 1].Get(), expected_biases[step - 1]) << "step " << step;
      ASSERT_EQ(actual[step - 1].routed_ids.Get(), expected[step - 1].routed_ids) << "step " << step;
      ASSERT_EQ(actual[step - 1].weights.Get(), expected[step - 1].weights) << "step " << step;
      ASSERT_EQ(actual[step - 1].gradients.Get(), expected[step - 1].gradients) << "step " << step;
    }
    ExpectOk(device->Leave(nullptr, Deadline()));
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, DeviceWorkspaceTest,
                         testing::Values(Mode{false, Versions::kGiven, 0, true},
                                         Mode{false, Versions::kGiven, 0, false}, Mode{false, Versions::kMade, 0, true},
                                         Mode{false, Versions::kMade, 1, true}, Mode{true, Versions::kGiven, 0, false},
                                         Mode{true, Versions::kMade, 0, true}, Mode{true, Versions::kMade, 1, true}),
                         [](const auto& info) {
                           const Mode& mode = info.param;
                           return absl::StrCat(mode.threads ? "Threads" : "Seeds",
                                               mode.versions == Versions::kMade ? "Made" : "Given",
                                               mode.lag == 1 ? "Lag" : "", mode.every_version ? "" : "Hold");
                         });

DeviceWorkspaceOptions OptionsOf(Versions versions) {
  DeviceWorkspaceOptions options;
  options.versions = versions;
  return options;
}

std::unique_ptr<Workspace> MakeWorkspace(TestRuntime* runtime, const DeviceWorkspaceOptions& options = {}) {
  auto workspace = DeviceWorkspace::Make(options, &Layers(), &PlanWithLag(options.lag), runtime).value();
  EXPECT_TRUE(workspace->Adopt(VersionOf(0)).ok());
  return workspace;
}

// What was enqueued since, on the trainer's stream and on the others.
class EnqueuedSince {
 public:
  EnqueuedSince(TestRuntime* runtime, DeviceStream training)
      : runtime_(runtime),
        training_(training),
        before_(runtime->CountOf(training)),
        all_before_(runtime->CountOfAll()) {}

  // "kernels copies fills records waits collectives".
  std::string Training() const { return Text(runtime_->CountOf(training_), before_); }
  std::string Side() const {
    Enqueued now = runtime_->CountOfAll();
    Enqueued then = all_before_;
    for (const auto kind : kKinds) {
      now.*kind -= runtime_->CountOf(training_).*kind;
      then.*kind -= before_.*kind;
    }
    return Text(now, then);
  }

 private:
  static constexpr int Enqueued::*kKinds[] = {&Enqueued::kernels, &Enqueued::copies, &Enqueued::fills,
                                              &Enqueued::records, &Enqueued::waits,  &Enqueued::collectives};
  static std::string Text(const Enqueued& now, const Enqueued& then) {
    std::string text;
    for (const auto kind : kKinds) absl::StrAppend(&text, text.empty() ? "" : " ", now.*kind - then.*kind);
    return text;
  }

  TestRuntime* const runtime_;
  const DeviceStream training_;
  const Enqueued before_;
  const Enqueued all_before_;
};

// The header's diagram.
TEST(DeviceWorkspaceEnqueuesTest, WhatTheDiagramSays) {
  for (const Versions versions : {Versions::kGiven, Versions::kMade}) {
    TestRuntime runtime;
    const auto workspace = MakeWorkspace(&runtime, OptionsOf(versions));
    const DeviceStream training = runtime.CreateStream().value();
    ExpectOk(workspace->SetStream(training));
    DeviceData data(&runtime, StepData(1));
    for (uint64_t step = 1; step <= 5; ++step) {
      SCOPED_TRACE(absl::StrCat("step ", step));
      const bool made = versions == Versions::kMade;
      const EnqueuedSince begin(&runtime, training);
      const v1::CommittedVersion version = VersionOf(step - 1);
      ExpectOk(workspace->BeginStep(step, step == 1 || made ? nullptr : &version));
      EXPECT_EQ(begin.Training(), step == 1 ? "0 0 0 0 1 0" : "0 1 0 0 2 0");
      EXPECT_EQ(begin.Side(), step == 1 || made ? "0 0 0 0 0 0" : "0 1 0 2 0 0");

      const EnqueuedSince counting(&runtime, training);
      CountStep(workspace.get(), data);
      EXPECT_EQ(counting.Training(), "7 0 0 0 0 0");
      EXPECT_EQ(counting.Side(), "0 0 0 0 0 0");

      const bool ok = step % 2 == 0;
      const EnqueuedSince commit(&runtime, training);
      const StepCountsPtr counts = workspace->Commit(step, {ok}).value();
      EXPECT_EQ(commit.Training(), "2 0 0 1 0 0");
      EXPECT_EQ(commit.Side(), absl::StrCat(made ? "2 " : "0 ", 1 + made + !ok, " 1 ", 2 + made, " 1 0"));
    }
  }
}

// Where the version stays, there is nothing to bring.
TEST(DeviceWorkspaceEnqueuesTest, NothingForABiasThatStays) {
  TestRuntime runtime;
  const auto workspace = MakeWorkspace(&runtime);
  ExpectOk(workspace->BeginStep(1, nullptr));
  const StepCountsPtr counts = workspace->Commit(1, {true}).value();
  const EnqueuedSince begin(&runtime, nullptr);
  ExpectOk(workspace->BeginStep(2, nullptr));
  EXPECT_EQ(begin.Training(), "0 0 0 0 1 0");
  EXPECT_EQ(begin.Side(), "0 0 0 0 0 0");
}

void EnqueueGate(DeviceStream stream, std::atomic<bool>* open) {
  stream->enqueue(
      stream, [](void* argument) { return static_cast<std::atomic<bool>*>(argument)->load(); }, open);
}

// The host goes on while the device has not even begun.
TEST(DeviceWorkspaceEnqueuesTest, Pitfall26AStepWaitsForNoDevice) {
  for (const bool threads : {false, true}) {
    TestRuntimeOptions options;
    options.threads = threads;
    TestRuntime runtime(options);
    const auto workspace = MakeWorkspace(&runtime, OptionsOf(Versions::kMade));
    const DeviceStream training = runtime.CreateStream().value();
    ExpectOk(workspace->SetStream(training));
    std::atomic<bool> open = false;
    EnqueueGate(training, &open);
    HostWorkspace host(&Layers());
    std::vector<DeviceData> data;
    std::vector<StepCountsPtr> counts;
    for (uint64_t step = 1; step <= 20; ++step) {
      data.emplace_back(&runtime, StepData(step));
      ExpectOk(workspace->BeginStep(step, nullptr));
      CountStep(workspace.get(), data.back());
      counts.push_back(workspace->Commit(step, {true}).value());
      EXPECT_EQ(data.back().weights.Get(), std::vector<float>(kRows * kTopK)) << "nothing has run";
    }
    open = true;
    for (uint64_t step = 1; step <= 20; ++step) {
      StepData own(step);
      ExpectOk(host.BeginStep(step, nullptr));
      ExpectOk(
          host.Count(kCounted, {kRows, own.ids.data(), 0, own.valid_mask.data(), IntType::kInt64}, /*counts=*/true));
      ExpectOk(host.AddCounts(kCounted, {own.counts.data(), own.tokens}, /*counts=*/true));
      const StepCountsPtr expected = host.Commit(step, {true}).value();
      ExpectOk(counts[step - 1]->Arrive());
      // The layer that comes first, which no bias has a part in.
      ASSERT_THAT(counts[step - 1]->counts().subspan(0, kExperts[kCounted]),
                  ElementsAreArray(expected->counts().subspan(0, kExperts[kCounted])));
    }
    counts.clear();
    runtime.RunAll();
  }
}

TEST(DeviceWorkspaceCountsTest, WhatADeviceRefusesIsCountedAsRefused) {
  TestRuntime runtime;
  const auto workspace = MakeWorkspace(&runtime);
  ExpectOk(workspace->BeginStep(1, nullptr));
  // An id that is none, and one twice; the last row is well.
  Array<int32_t> ids(&runtime, {0, 5, 3, 3, 1, 2});
  ExpectOk(workspace->Count(kCounted, {3, ids.data(), 0, nullptr, IntType::kInt32}, /*counts=*/true));
  Array<uint64_t> sums(&runtime, {1, 0, 0, 0, 0});
  ExpectOk(workspace->AddCounts(kCounted, {sums.data(), 1}, /*counts=*/true));
  // Likewise of what was dispatched, at the stream that it is of.
  Array<int32_t> wrong_ids(&runtime, {7, 7, 0, 9});
  Ids wrong = {2, wrong_ids.data()};
  wrong.stream = 1;
  ExpectOk(workspace->CountDispatched(kRouted, wrong, /*counts=*/true));
  Array<uint64_t> none(&runtime, {1, 0, 0, 0, 0, 0, 0, ~uint64_t{0}});
  ExpectOk(workspace->AddDispatched(kRouted, {none.data()}, /*counts=*/true));
  const StepCountsPtr counts = workspace->Commit(1, {true}).value();
  ExpectOk(counts->Arrive());
  EXPECT_EQ(counts->totals()[0].refused, 3);
  EXPECT_EQ(counts->totals()[0].tokens, 1);
  EXPECT_THAT(counts->counts().subspan(0, 5), testing::ElementsAre(0, 1, 1, 0, 0));
  EXPECT_EQ(counts->totals()[1].refused, 1);
  EXPECT_EQ(counts->totals()[2].refused, 2);
  EXPECT_THAT(counts->dispatched(), testing::Each(0));
}

TEST(DeviceWorkspaceCountsTest, ArgumentsAreCheckedAsOnTheHost) {
  TestRuntime runtime;
  const auto workspace = MakeWorkspace(&runtime);
  ExpectOk(workspace->BeginStep(1, nullptr));
  const absl::Status no_route = workspace->Route(kCounted, Tokens(), Assignments(), /*counts=*/true);
  EXPECT_EQ(no_route.code(), absl::StatusCode::kFailedPrecondition);
  Tokens tokens;
  tokens.rows = -1;
  const absl::Status negative = workspace->Route(kRouted, tokens, Assignments(), /*counts=*/true);
  EXPECT_EQ(negative.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(negative.message()), HasSubstr("layer \"b.routed\": "));
  EXPECT_EQ(workspace->Count(kCounted, {2, nullptr, 0, nullptr, IntType::kInt32}, /*counts=*/true).code(),
            absl::StatusCode::kInvalidArgument);
  // None of it is for good.
  EXPECT_TRUE(workspace->Commit(1, {true}).ok());
}

TEST(DeviceWorkspaceCountsTest, StopEndsTheWaitForCounts) {
  TestRuntime runtime;
  const auto workspace = MakeWorkspace(&runtime);
  const DeviceStream training = runtime.CreateStream().value();
  ExpectOk(workspace->SetStream(training));
  std::atomic<bool> open = false;
  EnqueueGate(training, &open);
  ExpectOk(workspace->BeginStep(1, nullptr));
  const StepCountsPtr counts = workspace->Commit(1, {true}).value();
  std::thread waiting([&] { EXPECT_EQ(counts->Arrive().code(), absl::StatusCode::kCancelled); });
  workspace->Stop();
  waiting.join();
  open = true;
}

// Without memory for its counts a step is not lost.
TEST(DeviceWorkspaceCountsTest, ACommitWithoutMemoryMayBeRepeated) {
  TestRuntimeOptions options;
  options.memory = 8'000;
  TestRuntime runtime(options);
  const auto workspace = MakeWorkspace(&runtime);
  Array<int32_t> ids(&runtime, {0, 1});
  std::vector<StepCountsPtr> kept;
  absl::Status status;
  for (uint64_t step = 1; status.ok(); ++step) {
    ASSERT_LT(step, 1'000);
    const v1::CommittedVersion version = VersionOf(step - 1);
    ExpectOk(workspace->BeginStep(step, step == 1 ? nullptr : &version));
    ExpectOk(workspace->Count(kCounted, {1, ids.data(), 0, nullptr, IntType::kInt32}, /*counts=*/true));
    absl::StatusOr<StepCountsPtr> counts = workspace->Commit(step, {true});
    status = counts.status();
    if (status.ok()) {
      kept.push_back(*std::move(counts));
      continue;
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    ExpectOk(kept.back()->Arrive());
    kept.pop_back();
    const StepCountsPtr again = workspace->Commit(step, {true}).value();
    EXPECT_EQ(again->step, step);
    ExpectOk(again->Arrive());
    EXPECT_EQ(again->counts()[0], 1);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Groups

const NcclLibrary& Library() {
  static const NcclLibrary* const library = [] {
    setenv("EVENKEEL_NCCL_LIBRARY", kFakeNcclPath, 1);
    return OpenNccl().value().release();
  }();
  return *library;
}

// Two ranks that have met.
std::vector<std::unique_ptr<DeviceReducer>> Pair(TestRuntime* const runtimes[2]) {
  static std::atomic<int> lives = 0;
  std::string store = absl::StrCat(getenv("TEST_TMPDIR"), "/pair-XXXXXX");
  EXPECT_NE(mkdtemp(store.data()), nullptr);
  std::vector<std::unique_ptr<DeviceReducer>> reducers(2);
  const auto meet = [&](int rank) {
    GroupPlace place;
    place.job = "run";
    place.group = "pair";
    place.rank = rank;
    place.size = 2;
    const auto rendezvous = MakeRendezvous("file://" + store, place, ++lives).value();
    NcclOptions options;
    options.rank = rank;
    options.size = 2;
    reducers[rank] = MakeNcclReducer(options, Library(), runtimes[rank], rendezvous.get()).value();
  };
  std::thread other([&] { meet(1); });
  meet(0);
  other.join();
  return reducers;
}

// Ranks with threads have a device each, which one rank may leave while the other waits; else they share one.
class GroupTest : public testing::Test {
 protected:
  explicit GroupTest(bool threads) : threads_(threads) {}

  void Begin(Versions versions, int seed = 1, milliseconds timeout = milliseconds(60'000)) {
    TestRuntimeOptions options;
    options.seed = seed;
    options.threads = threads_;
    End();
    for (int rank = 0; rank < (threads_ ? 2 : 1); ++rank) own_runtimes_[rank] = std::make_unique<TestRuntime>(options);
    for (int rank = 0; rank < 2; ++rank) runtimes_[rank] = own_runtimes_[threads_ ? rank : 0].get();
    reducers_ = Pair(runtimes_);
    for (int rank = 0; rank < 2; ++rank) {
      DeviceWorkspaceOptions workspace = OptionsOf(versions);
      workspace.place = rank;
      workspace.ranks = 2;
      workspace.timeout = timeout;
      workspace.make_reducer = [this, rank] { return std::move(reducers_[rank]); };
      ranks_[rank] = MakeWorkspace(runtimes_[rank], workspace);
      training_[rank] = runtimes_[rank]->CreateStream().value();
      ExpectOk(ranks_[rank]->SetStream(training_[rank]));
    }
  }

  // The leader last, whom nobody keeps waiting.
  void End() {
    for (const int rank : {1, 0}) {
      counts_[rank].clear();
      ranks_[rank].reset();
      data_[rank].clear();
      biases_[rank].clear();
    }
    reducers_.clear();
  }
  ~GroupTest() override { End(); }

  absl::Status Commit(int rank, uint64_t step, bool ok = true) {
    absl::StatusOr<StepCountsPtr> counts = ranks_[rank]->Commit(step, {ok});
    if (counts.ok()) counts_[rank].push_back(*std::move(counts));
    return counts.status();
  }

  // The first step of both.
  void TakeFirstStep() {
    for (int rank = 0; rank < 2; ++rank) {
      ExpectOk(ranks_[rank]->BeginStep(1, nullptr));
      ExpectOk(Commit(rank, 1));
    }
  }

  // What rank counts in a step: something else on each.
  void CountStep(int rank, uint64_t step) {
    data_[rank].emplace_back(runtimes_[rank], StepData(2 * step + rank));
    client::CountStep(ranks_[rank].get(), data_[rank].back());
  }

  void CopyBias(int rank) {
    biases_[rank].emplace_back(runtimes_[rank], std::vector<float>(kExperts[kCounted]));
    ExpectOk(runtimes_[rank]->Copy(biases_[rank].back().data(), ranks_[rank]->bias(kCounted),
                                   kExperts[kCounted] * sizeof(float), training_[rank]));
  }

  // Until a call of the rank fails.
  absl::Status AwaitError(int rank, uint64_t step) {
    StepReport report = EmptyReport();
    while (true) {
      const absl::Status status = ranks_[rank]->Report(step, &report).status();
      if (!status.ok()) return status;
      std::this_thread::yield();
    }
  }

  const bool threads_;
  std::unique_ptr<TestRuntime> own_runtimes_[2];
  TestRuntime* runtimes_[2] = {};
  DeviceStream training_[2] = {};
  std::vector<std::unique_ptr<DeviceReducer>> reducers_;
  std::vector<DeviceData> data_[2];
  std::vector<Array<float>> biases_[2];
  std::unique_ptr<Workspace> ranks_[2];
  std::vector<StepCountsPtr> counts_[2];
};

class PairTest : public GroupTest, public testing::WithParamInterface<bool> {
 protected:
  PairTest() : GroupTest(/*threads=*/GetParam()) {}
};

class LostRankTest : public GroupTest {
 protected:
  LostRankTest() : GroupTest(/*threads=*/true) {}
};

std::vector<float> BiasOf(const v1::CommittedVersion& version) {
  return std::vector<float>(version.bias().begin(), version.bias().begin() + kExperts[kCounted]);
}

TEST_P(PairTest, AddsUpAndHearsOfTheLeadersVersion) {
  for (int seed = 0; seed < (threads_ ? 5 : 20); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Begin(Versions::kBroadcast, seed);
    HostWorkspace hosts[2] = {HostWorkspace(&Layers(), 0, 2), HostWorkspace(&Layers(), 1, 2)};
    std::vector<std::vector<float>> expected;
    v1::CommittedVersion newest = VersionOf(0);
    StepReport reports[2] = {EmptyReport(), EmptyReport()};
    constexpr uint64_t kSteps = 9;
    for (uint64_t step = 1; step <= kSteps; ++step) {
      // Every third step, the leader goes on with what there is.
      const bool is_new = step > 1 && step % 3 != 0;
      if (is_new) newest = VersionOf(step - 1);
      expected.push_back(BiasOf(newest));
      for (int rank = 0; rank < 2; ++rank) {
        ExpectOk(ranks_[rank]->BeginStep(step, is_new && rank == 0 ? &newest : nullptr));
        CopyBias(rank);
        CountStep(rank, step);
        const absl::StatusOr<uint64_t> of = ranks_[rank]->Report(step, &reports[rank]);
        ASSERT_TRUE(of.ok()) << of.status();
        EXPECT_LE(*of, step);
        EXPECT_TRUE(rank == 1 || *of == step);
      }
      for (int rank = 0; rank < 2; ++rank) ExpectOk(Commit(rank, step, rank == 0 || step % 4 != 0));
      std::vector<uint64_t> sums(Layers().shape(2).Sums());
      for (int rank = 0; rank < 2; ++rank) {
        StepData own(2 * step + rank);
        ExpectOk(hosts[rank].BeginStep(step, &newest));
        client::CountStep(&hosts[rank], own);
        const StepCountsPtr counts = hosts[rank].Commit(step, {rank == 0 || step % 4 != 0}).value();
        for (size_t i = 0; i < sums.size(); ++i) sums[i] += counts->sums()[i];
      }
      for (int rank = 0; rank < 2; ++rank) {
        ExpectOk(counts_[rank].back()->Arrive());
        ASSERT_THAT(counts_[rank].back()->sums(), ElementsAreArray(sums)) << "step " << step;
        if (step % 2 == 0) counts_[rank].clear();
      }
    }
    // Both leave, with a version that the leader has got at last.
    const v1::CommittedVersion last = VersionOf(kSteps);
    std::thread leader([&] { ExpectOk(ranks_[0]->Leave(&last, Deadline::max())); });
    ExpectOk(ranks_[1]->Leave(nullptr, Deadline::max()));
    leader.join();
    for (int rank = 0; rank < 2; ++rank) CopyBias(rank);
    expected.push_back(BiasOf(last));
    EXPECT_EQ(ranks_[1]->Report(kSteps + 1, &reports[1]), absl::StatusOr<uint64_t>(kSteps + 1));
    EXPECT_EQ(reports[1].step, kSteps);
    EXPECT_EQ(reports[1].bias_hash, last.state_hash());
    EXPECT_EQ(reports[1].tokens, last.tokens());
    EXPECT_EQ(reports[1].ok, last.ok());
    EXPECT_THAT(reports[1].max_violation, testing::ElementsAre(last.max_violation(2), last.max_violation(0)));
    for (int rank = 0; rank < 2; ++rank) {
      runtimes_[rank]->RunAll();
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(biases_[rank][i].Get(), expected[i]) << "rank " << rank << ", step " << i + 1;
      }
    }
  }
}

TEST_P(PairTest, Pitfall06OneSumAndOneBroadcastAStep) {
  Begin(Versions::kBroadcast);
  const v1::CommittedVersion version = VersionOf(1);
  for (int rank = 0; rank < 2; ++rank) {
    ExpectOk(ranks_[rank]->BeginStep(1, nullptr));
    const EnqueuedSince commit(runtimes_[rank], training_[rank]);
    ExpectOk(Commit(rank, 1));
    EXPECT_EQ(commit.Training(), "2 0 0 1 0 0");
    EXPECT_EQ(commit.Side(), "0 1 1 4 1 1");
  }
  for (int rank = 0; rank < 2; ++rank) {
    const EnqueuedSince begin(runtimes_[rank], training_[rank]);
    ExpectOk(ranks_[rank]->BeginStep(2, rank == 0 ? &version : nullptr));
    EXPECT_EQ(begin.Training(), "0 1 0 0 2 0");
    EXPECT_EQ(begin.Side(), "0 1 0 4 0 1");
  }
}

TEST_P(PairTest, RanksAtDifferentStepsAreAnError) {
  Begin(Versions::kBroadcast);
  TakeFirstStep();
  const v1::CommittedVersion version = VersionOf(1);
  ExpectOk(ranks_[0]->BeginStep(2, &version));
  const absl::Status status = ranks_[1]->Leave(nullptr, Deadline::max());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the bias of step 2 where this rank was at its leave"));
}

TEST_P(PairTest, ALeaveWaitsForTheOthersNoLongerThanTold) {
  for (const Versions versions : {Versions::kMade, Versions::kBroadcast}) {
    Begin(versions);
    ExpectOk(ranks_[1]->BeginStep(1, nullptr));
    ExpectOk(Commit(1, 1));
    const EnqueuedSince leaving(runtimes_[1], training_[1]);
    EXPECT_EQ(ranks_[1]->Leave(nullptr, Deadline()).code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(ranks_[1]->Leave(nullptr, Deadline()).code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(leaving.Training(), versions == Versions::kMade ? "0 0 0 0 0 0" : "0 1 0 0 1 0") << "once";
    ExpectOk(ranks_[0]->BeginStep(1, nullptr));
    ExpectOk(Commit(0, 1));
    const v1::CommittedVersion version = VersionOf(1);
    std::thread other([&] { ExpectOk(ranks_[1]->Leave(nullptr, Deadline::max())); });
    ExpectOk(ranks_[0]->Leave(&version, Deadline::max()));
    other.join();
  }
}

TEST_P(PairTest, ARankThatDoesNotComeIsAnErrorInTime) {
  Begin(Versions::kBroadcast, /*seed=*/1, milliseconds(2'000));
  TakeFirstStep();
  for (int rank = 0; rank < 2; ++rank) ExpectOk(counts_[rank].back()->Arrive());
  // The leader says nothing.
  const absl::Status begun = ranks_[1]->BeginStep(2, nullptr);
  const absl::Status status = begun.ok() ? AwaitError(1, 2) : begun;
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("did not come within 2000 ms"));
  EXPECT_EQ(ranks_[1]->BeginStep(2, nullptr), status) << "for good";
}

INSTANTIATE_TEST_SUITE_P(Runtimes, PairTest, testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "Threads" : "Seeds"); });

// However far the followers are ahead.
TEST_F(LostRankTest, TheLeadersFailureIsHeard) {
  for (const int ahead : {0, 1, 2, 5}) {
    SCOPED_TRACE(absl::StrCat("the follower is ahead by ", ahead));
    Begin(Versions::kBroadcast);
    TakeFirstStep();
    // The follower's device is late, so that nothing is heard before it is at the end of its steps.
    std::atomic<bool> open = false;
    EnqueueGate(training_[1], &open);
    absl::Status status = ranks_[1]->BeginStep(2, nullptr);
    for (int step = 2; step < 2 + std::min(ahead, 1) && status.ok(); ++step) {
      status = Commit(1, step);
      if (status.ok()) status = ranks_[1]->BeginStep(step + 1, nullptr);
    }
    EXPECT_TRUE(status.ok()) << status;
    open = true;
    ranks_[0]->Fail(2, absl::PermissionDeniedError("this coordinator has another job"));
    EXPECT_EQ(ranks_[0]->BeginStep(2, nullptr).code(), absl::StatusCode::kPermissionDenied);
    for (int step = 3; step < 2 + ahead && status.ok(); ++step) {
      status = Commit(1, step);
      if (status.ok()) status = ranks_[1]->BeginStep(step + 1, nullptr);
    }
    if (status.ok()) status = AwaitError(1, 2);
    EXPECT_EQ(status, absl::PermissionDeniedError("rank 0 of the group: this coordinator has another job"));
    EXPECT_EQ(Commit(1, 2), status) << "for good";
    EXPECT_EQ(ranks_[1]->Leave(nullptr, Deadline::max()), status);
  }
}

// Its broadcast is still heard, while a rank that waits for it in vain finds it gone.
TEST_F(LostRankTest, TheFailureOfALeaderThatGoesIsHeard) {
  for (int round = 0; round < 10; ++round) {
    Begin(Versions::kBroadcast);
    TakeFirstStep();
    ranks_[0]->Fail(2, absl::PermissionDeniedError("this coordinator has another job"));
    absl::Status status = ranks_[1]->BeginStep(2, nullptr);
    if (status.ok()) status = Commit(1, 2);
    counts_[0].clear();
    ranks_[0].reset();
    if (status.ok()) status = AwaitError(1, 2);
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  }
}

TEST_F(LostRankTest, ARankThatGoesIsAnErrorOnTheOther) {
  for (const Versions versions : {Versions::kMade, Versions::kBroadcast}) {
    for (const int gone : {0, 1}) {
      const int left = 1 - gone;
      Begin(versions);
      TakeFirstStep();
      for (int rank = 0; rank < 2; ++rank) ExpectOk(counts_[rank].back()->Arrive());
      counts_[gone].clear();
      // The communicator ends with both, or else is given up after a while.
      std::thread end([&, gone = gone] { ranks_[gone].reset(); });
      const v1::CommittedVersion version = VersionOf(1);
      absl::Status status = ranks_[left]->BeginStep(2, left == 0 ? &version : nullptr);
      if (status.ok()) status = Commit(left, 2);
      // What was to be added up never arrives.
      if (status.ok()) {
        const absl::Status arrived = counts_[left].back()->Arrive();
        EXPECT_EQ(arrived.code(), absl::StatusCode::kUnavailable) << arrived;
        status = AwaitError(left, 2);
      }
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
      end.join();
    }
  }
}

// In the middle of what the other never comes to.
TEST_F(LostRankTest, WhoWaitsInVainMayGo) {
  for (const Versions versions : {Versions::kMade, Versions::kBroadcast}) {
    for (const int waiting : {0, 1}) {
      Begin(versions);
      TakeFirstStep();
      const v1::CommittedVersion version = VersionOf(1);
      ExpectOk(ranks_[waiting]->BeginStep(2, waiting == 0 ? &version : nullptr));
      ExpectOk(Commit(waiting, 2));
      counts_[waiting].clear();
      ranks_[waiting].reset();
    }
  }
}

// A communicator that is somebody else's: whoever leaves ends nothing that is enqueued.
class AdoptedReducer final : public DeviceReducer {
 public:
  explicit AdoptedReducer(std::atomic<bool>* ends) : ends_(ends) {}
  int rank() const override { return 0; }
  int size() const override { return 2; }
  absl::Status EnqueueSum(uint64_t*, size_t, DeviceStream stream) override {
    EnqueueGate(stream, ends_);
    return absl::OkStatus();
  }
  absl::Status EnqueueBroadcast(void*, size_t, DeviceStream stream) override { return EnqueueSum(nullptr, 0, stream); }
  absl::Status Health() override { return aborted_ ? absl::CancelledError("aborted") : absl::OkStatus(); }
  void Abort() override { aborted_ = true; }

 private:
  std::atomic<bool>* const ends_;
  std::atomic<bool> aborted_ = false;
};

TEST(DeviceWorkspaceEndTest, LeavesItsMemoryToADeviceThatNeverEnds) {
  static std::atomic<bool> ends = false;
  TestRuntimeOptions runtime_options;
  runtime_options.threads = true;
  TestRuntime runtime(runtime_options);
  DeviceWorkspaceOptions options = OptionsOf(Versions::kMade);
  options.make_reducer = [] { return std::make_unique<AdoptedReducer>(&ends); };
  auto workspace = MakeWorkspace(&runtime, options);
  ExpectOk(workspace->BeginStep(1, nullptr));
  workspace->Commit(1, {true}).value().reset();
  workspace.reset();
  // What comes after it still has its memory.
  ends = true;
  runtime.RunAll();
}

TEST(DeviceWorkspaceEndTest, MayEndAtAnyMoment) {
  for (const Versions versions : {Versions::kGiven, Versions::kMade}) {
    for (int seed = 0; seed < 20; ++seed) {
      TestRuntimeOptions options;
      options.seed = seed;
      TestRuntime runtime(options);
      DeviceData data(&runtime, StepData(1));
      auto workspace = MakeWorkspace(&runtime, OptionsOf(versions));
      for (int call = 0; call < seed % 8; ++call) {
        const uint64_t step = 1 + call / 2;
        const v1::CommittedVersion version = VersionOf(step - 1);
        if (call % 2 == 0) {
          ExpectOk(workspace->BeginStep(step, &version));
          CountStep(workspace.get(), data);
        } else {
          ExpectOk(workspace->Commit(step, {true}).status());
        }
      }
      workspace.reset();
    }
  }
}

TEST(DeviceWorkspaceEndTest, WithoutMemoryThereIsNone) {
  for (size_t memory = 0; memory < 3'000; memory += 100) {
    TestRuntimeOptions options;
    options.memory = memory;
    TestRuntime runtime(options);
    const absl::Status status =
        DeviceWorkspace::Make(OptionsOf(Versions::kMade), &Layers(), &PlanWithLag(0), &runtime).status();
    EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
  }
}

}  // namespace
}  // namespace evenkeel::client
