#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/cuda/cuda_backward.h"
#include "kernels/routing/cuda/cuda_router.h"
#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/reference/reference_router.h"
#include "tests/gpu_check/device.h"
#include "tests/gpu_check/device_array.h"

// Graphs, whose replays read what their addresses then hold, and streams that count in one place.
namespace evenkeel::gpu_check {
namespace {

using routing::BackwardProblem;
using routing::Family;
using routing::Gradients;
using routing::Problem;
using routing::Routed;
using routing::RouteInput;
using routing::RouteOutput;
using routing::RouteSpec;
using routing::RouteStats;

constexpr uint8_t kPoison = 0xab;

std::vector<uint64_t> Times(int64_t factor, std::vector<uint64_t> counts) {
  for (uint64_t& count : counts) count *= factor;
  return counts;
}

std::vector<uint64_t> Sum(std::vector<uint64_t> a, const std::vector<uint64_t>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

// Rows of every kind with a bias and a mask, which differ with the seed; their shape does not.
Problem MakeProblem(const RouteSpec& spec, int64_t rows, uint32_t seed) {
  std::mt19937 random(seed);
  Problem problem;
  problem.spec = spec;
  problem.logits = routing::RowsOfEveryKind(random, spec.num_experts, rows);
  std::normal_distribution<float> normal(0, 0.1f);
  for (int e = 0; e < spec.num_experts; ++e) problem.bias.push_back(normal(random));
  for (int64_t t = 0; t < rows; ++t) problem.valid.push_back(random() % 5 != 0);
  return problem;
}

// A problem at addresses of the device that stay, with every output.
class DeviceProblem {
 public:
  DeviceProblem(const DeviceStream& stream, const Problem& problem)
      : spec_(problem.spec),
        rows_(problem.rows()),
        logits_(stream, problem.logits),
        bias_(stream, problem.bias),
        valid_(stream, problem.valid),
        ids_(stream, rows_ * spec_.top_k, kPoison),
        weights_(stream, rows_ * spec_.top_k, kPoison),
        probabilities_(stream, rows_ * spec_.num_experts, kPoison),
        map_(stream, rows_ * spec_.num_experts, kPoison),
        counts_(stream, spec_.num_experts, 0),
        stats_(stream, 1, 0) {}

  void Set(const Problem& problem) {
    logits_.Set(0, problem.logits);
    bias_.Set(0, problem.bias);
    valid_.Set(0, problem.valid);
  }

  absl::Status Enqueue(const DeviceStream& stream) const {
    RouteInput input;
    input.logits = logits_.data();
    input.rows = rows_;
    input.logits_stride = spec_.num_experts;
    input.bias = bias_.data();
    input.valid_mask = valid_.data();
    RouteOutput output;
    output.ids = ids_.data();
    output.weights = weights_.data();
    output.ids_stride = output.weights_stride = spec_.top_k;
    output.dense_probabilities = probabilities_.data();
    output.dense_map = map_.data();
    output.dense_probabilities_stride = output.dense_map_stride = spec_.num_experts;
    output.counts = counts_.data();
    return routing::RouteCuda(spec_, input, output, stats_.data(), stream.get());
  }

  // Of all launches together in counts and stats, of the latest in the rest.
  Routed Get() const {
    Routed routed;
    routed.top_k = spec_.top_k;
    routed.ids = ids_.Get();
    routed.weights = weights_.Get();
    routed.probabilities = probabilities_.Get();
    routed.map = map_.Get();
    routed.counts = counts_.Get();
    routed.stats = stats_.Get()[0];
    return routed;
  }

 private:
  const RouteSpec spec_;
  const int64_t rows_;
  DeviceArray<float> logits_;
  DeviceArray<float> bias_;
  DeviceArray<uint8_t> valid_;
  DeviceArray<int32_t> ids_;
  DeviceArray<float> weights_;
  DeviceArray<float> probabilities_;
  DeviceArray<uint8_t> map_;
  DeviceArray<uint64_t> counts_;
  DeviceArray<RouteStats> stats_;
};

void ExpectSameRows(const Routed& routed, const Routed& expected) {
  EXPECT_EQ(routed.ids, expected.ids);
  EXPECT_EQ(routed.weights, expected.weights);
  EXPECT_EQ(routed.probabilities, expected.probabilities);
  EXPECT_EQ(routed.map, expected.map);
}

using DeviceGraphTest = DeviceTest;

TEST_F(DeviceGraphTest, ReplaysRouteWhatTheAddressesThenHold) {
  for (const Family& family : routing::Families()) {
    SCOPED_TRACE(family.name);
    DeviceProblem on_device(stream(), MakeProblem(family.spec, 77, 0));
    const absl::StatusOr<DeviceGraph> graph =
        DeviceGraph::Capture(stream(), [&] { return on_device.Enqueue(stream()); });
    ASSERT_TRUE(graph.ok()) << graph.status();
    EXPECT_EQ(on_device.Get().stats.valid_rows, 0);  // what is captured has not run
    std::vector<uint64_t> counts(family.spec.num_experts, 0);
    RouteStats stats;
    for (uint32_t seed = 1; seed <= 5; ++seed) {
      SCOPED_TRACE(seed);
      const Problem problem = MakeProblem(family.spec, 77, seed);
      const Routed expected = RouteAndCheck(routing::RouteReference, problem);
      on_device.Set(problem);
      ExpectOk(graph->Launch(stream()));
      const Routed routed = on_device.Get();
      ExpectSameRows(routed, expected);
      counts = Sum(counts, expected.counts);
      stats.valid_rows += expected.stats.valid_rows;
      stats.short_slots += expected.stats.short_slots;
      EXPECT_EQ(routed.counts, counts);
      EXPECT_EQ(routed.stats.valid_rows, stats.valid_rows);
      EXPECT_EQ(routed.stats.short_slots, stats.short_slots);
    }
  }
}

// Micro-batches of a step: several launches in one graph, into one buffer of counts.
TEST_F(DeviceGraphTest, LaunchesOfOneGraphAddUp) {
  const Problem problem = MakeProblem(routing::Families()[0].spec, 200, 1);
  const Routed expected = RouteAndCheck(routing::RouteReference, problem);
  DeviceProblem on_device(stream(), problem);
  const absl::StatusOr<DeviceGraph> graph = DeviceGraph::Capture(stream(), [&] {
    absl::Status status;
    for (int launch = 0; launch < 8; ++launch) status.Update(on_device.Enqueue(stream()));
    return status;
  });
  ASSERT_TRUE(graph.ok()) << graph.status();
  for (int replay = 0; replay < 16; ++replay) ExpectOk(graph->Launch(stream()));
  const Routed routed = on_device.Get();
  ExpectSameRows(routed, expected);
  EXPECT_EQ(routed.counts, Times(128, expected.counts));
  EXPECT_EQ(routed.stats.valid_rows, 128 * expected.stats.valid_rows);
  EXPECT_EQ(routed.stats.short_slots, 128 * expected.stats.short_slots);
}

TEST_F(DeviceGraphTest, BackwardReplaysReadWhatTheAddressesThenHold) {
  for (const Family& family : routing::Families()) {
    SCOPED_TRACE(family.name);
    const RouteSpec& spec = family.spec;
    const int64_t rows = 77;
    const auto make = [&](uint32_t seed) {
      const Problem problem = MakeProblem(spec, rows, seed);
      std::mt19937 random(seed);
      return MakeBackwardProblem(random, spec, problem.logits, problem.bias, Gradients::kBoth);
    };
    const BackwardProblem first = make(0);
    DeviceArray<float> logits(stream(), first.logits);
    DeviceArray<int32_t> ids(stream(), first.ids);
    DeviceArray<float> d_weights(stream(), first.d_weights);
    DeviceArray<float> d_probabilities(stream(), first.d_probabilities);
    DeviceArray<float> d_logits(stream(), rows * spec.num_experts, kPoison);
    routing::RouteBackwardInput input;
    input.logits = logits.data();
    input.rows = rows;
    input.ids = ids.data();
    input.d_weights = d_weights.data();
    input.d_probabilities = d_probabilities.data();
    input.logits_stride = input.d_probabilities_stride = spec.num_experts;
    input.ids_stride = input.d_weights_stride = spec.top_k;
    routing::RouteBackwardOutput output;
    output.d_logits = d_logits.data();
    output.d_logits_stride = spec.num_experts;
    const absl::StatusOr<DeviceGraph> graph =
        DeviceGraph::Capture(stream(), [&] { return routing::RouteBackwardCuda(spec, input, output, stream().get()); });
    ASSERT_TRUE(graph.ok()) << graph.status();
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(seed);
      const BackwardProblem problem = make(seed);
      logits.Set(0, problem.logits);
      ids.Set(0, problem.ids);
      d_weights.Set(0, problem.d_weights);
      d_probabilities.Set(0, problem.d_probabilities);
      ExpectOk(graph->Launch(stream()));
      routing::ExpectSameBits(d_logits.Get(), TakeBack(routing::RouteBackwardReference, problem));
    }
  }
}

using DeviceStreamsTest = DeviceTest;

// Each stream routes rows of its own; all add to the same counts and the same stats.
TEST_F(DeviceStreamsTest, CountInOnePlace) {
  constexpr int kStreams = 4;
  constexpr int kLaunches = 50;
  const RouteSpec spec = routing::Families()[0].spec;
  DeviceArray<uint64_t> counts(stream(), spec.num_experts, 0);
  DeviceArray<RouteStats> stats(stream(), 1, 0);
  ExpectOk(stream().Synchronize());

  std::vector<uint64_t> expected_counts(spec.num_experts, 0);
  RouteStats expected_stats;
  std::vector<std::unique_ptr<DeviceArray<float>>> logits;
  std::vector<DeviceStream> streams;
  for (int i = 0; i < kStreams; ++i) {
    Problem problem = MakeProblem(spec, 500 + 37 * i, i);
    problem.bias.clear();
    problem.valid.clear();
    const Routed expected = RouteAndCheck(routing::RouteReference, problem);
    expected_counts = Sum(expected_counts, Times(kLaunches, expected.counts));
    expected_stats.valid_rows += kLaunches * expected.stats.valid_rows;
    expected_stats.short_slots += kLaunches * expected.stats.short_slots;
    logits.push_back(std::make_unique<DeviceArray<float>>(stream(), problem.logits));
    absl::StatusOr<DeviceStream> own = DeviceStream::Create();
    ASSERT_TRUE(own.ok()) << own.status();
    streams.push_back(*std::move(own));
  }
  for (int launch = 0; launch < kLaunches; ++launch) {
    for (int i = 0; i < kStreams; ++i) {
      RouteInput input;
      input.logits = logits[i]->data();
      input.rows = logits[i]->size() / spec.num_experts;
      input.logits_stride = spec.num_experts;
      RouteOutput output;
      output.counts = counts.data();
      ExpectOk(routing::RouteCuda(spec, input, output, stats.data(), streams[i].get()));
    }
  }
  for (const DeviceStream& each : streams) ExpectOk(each.Synchronize());
  EXPECT_EQ(counts.Get(), expected_counts);
  EXPECT_EQ(stats.Get()[0].valid_rows, expected_stats.valid_rows);
  EXPECT_EQ(stats.Get()[0].short_slots, expected_stats.short_slots);
}

}  // namespace
}  // namespace evenkeel::gpu_check
