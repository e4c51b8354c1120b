#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/counting/count_problem.h"
#include "kernels/counting/cuda/cuda_count.h"
#include "tests/gpu_check/device.h"
#include "tests/gpu_check/device_array.h"
#include "tests/gpu_check/quick.h"

// Counting of ids and of sums on the device, against the reference.
namespace evenkeel::gpu_check {
namespace {

using counting::Counted;
using counting::CountOutput;
using counting::CountsInput;
using counting::CountsProblem;
using counting::IdsInput;
using counting::IdsProblem;

// What is counted on the device, from zeros.
class DeviceCounted {
 public:
  DeviceCounted(const DeviceStream& stream, int num_experts)
      : counts_(stream, num_experts, 0), stats_(stream, 1, 0), refused_(stream, 1, 0) {}

  CountOutput Output() const { return {counts_.data(), stats_.data(), refused_.data()}; }

  Counted Get() const {
    Counted counted(0);
    counted.counts = counts_.Get();
    counted.stats = stats_.Get()[0];
    counted.refused = refused_.Get()[0];
    return counted;
  }

 private:
  DeviceArray<uint64_t> counts_;
  DeviceArray<routing::RouteStats> stats_;
  DeviceArray<uint64_t> refused_;
};

// A problem's ids on the device, in memory that ends with the last slot.
class DeviceIds {
 public:
  DeviceIds(const DeviceStream& stream, const IdsProblem& problem)
      : input_(problem.Input()), ids_(stream, problem.ids), mask_(stream, problem.mask) {
    input_.ids = ids_.data();
    if (input_.valid_mask != nullptr) input_.valid_mask = mask_.data();
  }

  const IdsInput& input() const { return input_; }
  void Set(const IdsProblem& problem) { ids_.Set(0, problem.ids); }
  std::vector<uint8_t> Get() const { return ids_.Get(); }

 private:
  IdsInput input_;
  DeviceArray<uint8_t> ids_;
  DeviceArray<uint8_t> mask_;
};

class DeviceSums {
 public:
  DeviceSums(const DeviceStream& stream, const CountsProblem& problem)
      : input_(problem.Input()), counts_(stream, problem.counts) {
    input_.counts = counts_.data();
  }

  const CountsInput& input() const { return input_; }

 private:
  CountsInput input_;
  DeviceArray<uint8_t> counts_;
};

void AddTo(Counted* sum, int times, const Counted& counted) {
  for (size_t expert = 0; expert < counted.counts.size(); ++expert) {
    sum->counts[expert] += times * counted.counts[expert];
  }
  sum->stats.valid_rows += times * counted.stats.valid_rows;
  sum->stats.short_slots += times * counted.stats.short_slots;
  sum->refused += times * counted.refused;
}

int Seeds() { return Quick() ? 40 : 1000; }

class DeviceCountingTest : public DeviceTest {
 protected:
  void ExpectAsTheReference(const IdsProblem& problem) {
    SCOPED_TRACE(problem.Describe());
    const DeviceIds ids(stream(), problem);
    const DeviceCounted counted(stream(), problem.num_experts);
    ExpectOk(counting::EnqueueCountIds(ids.input(), counted.Output(), stream().get()));
    EXPECT_EQ(counted.Get(), counting::Count(problem));
    EXPECT_EQ(ids.Get(), problem.ids);
  }
};

TEST_F(DeviceCountingTest, RandomIds) {
  for (int seed = 0; seed < Seeds() && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ExpectAsTheReference(counting::RandomIds(seed));
  }
}

// One row, around a block, and more than all blocks have at a time.
TEST_F(DeviceCountingTest, ManyRows) {
  for (const int64_t rows : {1, 255, 256, 257, 32768, 500009}) {
    if (Quick() && rows > 1000) continue;
    ExpectAsTheReference(counting::RandomIdsOf(256, 8, rows, routing::IdType::kInt32, rows));
    ExpectAsTheReference(counting::RandomIdsOf(64, 6, rows, routing::IdType::kInt64, rows));
  }
  ExpectAsTheReference(counting::RandomIdsOf(256, 40, Quick() ? 100 : 20011, routing::IdType::kInt32, 1));
}

// More shared memory than a kernel gets unasked.
TEST_F(DeviceCountingTest, AllExpertsThereMayBe) {
  for (const int num_experts : {11000, 12000, routing::kMaxExperts}) {
    ExpectAsTheReference(counting::RandomIdsOf(num_experts, 8, 1000, routing::IdType::kInt32, 1));
    ExpectAsTheReference(counting::RandomIdsOf(num_experts, num_experts, 5, routing::IdType::kInt64, 1));
  }
}

TEST_F(DeviceCountingTest, RandomSums) {
  for (int seed = 0; seed < Seeds() && !HasFailure(); ++seed) {
    const CountsProblem problem = counting::RandomCounts(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << problem.Describe());
    const DeviceSums sums(stream(), problem);
    const DeviceCounted counted(stream(), problem.num_experts);
    ExpectOk(counting::EnqueueAddCounts(sums.input(), counted.Output(), stream().get()));
    EXPECT_EQ(counted.Get(), counting::Count(problem));
  }
}

// What has been counted, to be added once more.
CountsProblem SumsOf(const IdsProblem& ids) {
  const Counted counted = counting::Count(ids);
  const auto* first = reinterpret_cast<const uint8_t*>(counted.counts.data());
  return {ids.num_experts,
          ids.top_k,
          counting::CountType::kInt64,
          {first, first + counted.counts.size() * sizeof(uint64_t)},
          static_cast<uint64_t>(counted.stats.valid_rows),
          static_cast<uint64_t>(counted.stats.short_slots)};
}

IdsProblem IdsOf(uint64_t seed) { return counting::RandomIdsOf(128, 8, 700, routing::IdType::kInt32, seed); }

// Micro-batches of a step, of ids and of sums, in one graph, whose replays count what the addresses then hold.
TEST_F(DeviceCountingTest, LaunchesOfAGraphAddUp) {
  DeviceIds ids(stream(), IdsOf(0));
  const DeviceSums sums(stream(), SumsOf(IdsOf(100)));
  const DeviceCounted counted(stream(), 128);
  const absl::StatusOr<DeviceGraph> graph = DeviceGraph::Capture(stream(), [&] {
    absl::Status status = counting::EnqueueCountIds(ids.input(), counted.Output(), stream().get());
    status.Update(counting::EnqueueAddCounts(sums.input(), counted.Output(), stream().get()));
    status.Update(counting::EnqueueCountIds(ids.input(), counted.Output(), stream().get()));
    return status;
  });
  ASSERT_TRUE(graph.ok()) << graph.status();
  Counted expected(128);
  EXPECT_EQ(counted.Get(), expected);  // what is captured has not run
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    ids.Set(IdsOf(seed));
    ExpectOk(graph->Launch(stream()));
    AddTo(&expected, 2, counting::Count(IdsOf(seed)));
    AddTo(&expected, 1, counting::Count(IdsOf(100)));
    EXPECT_EQ(counted.Get(), expected);
  }
}

// Each stream counts rows of its own; all add to the same totals.
TEST_F(DeviceCountingTest, StreamsCountInOnePlace) {
  constexpr int kStreams = 4;
  constexpr int kLaunches = 50;
  const DeviceCounted counted(stream(), 128);
  Counted expected(128);
  std::vector<std::unique_ptr<DeviceIds>> ids;
  std::vector<std::unique_ptr<DeviceSums>> sums;
  std::vector<DeviceStream> streams;
  for (int i = 0; i < kStreams; ++i) {
    ids.push_back(std::make_unique<DeviceIds>(stream(), IdsOf(i)));
    sums.push_back(std::make_unique<DeviceSums>(stream(), SumsOf(IdsOf(i))));
    AddTo(&expected, 2 * kLaunches, counting::Count(IdsOf(i)));
    absl::StatusOr<DeviceStream> own = DeviceStream::Create();
    ASSERT_TRUE(own.ok()) << own.status();
    streams.push_back(*std::move(own));
  }
  ExpectOk(stream().Synchronize());
  for (int launch = 0; launch < kLaunches; ++launch) {
    for (int i = 0; i < kStreams; ++i) {
      ExpectOk(counting::EnqueueCountIds(ids[i]->input(), counted.Output(), streams[i].get()));
      ExpectOk(counting::EnqueueAddCounts(sums[i]->input(), counted.Output(), streams[i].get()));
    }
  }
  for (const DeviceStream& each : streams) ExpectOk(each.Synchronize());
  EXPECT_EQ(counted.Get(), expected);
}

}  // namespace
}  // namespace evenkeel::gpu_check
