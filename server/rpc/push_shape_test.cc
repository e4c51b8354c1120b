#include "server/rpc/push_shape.h"

#include <limits>
#include <random>

#include "base/error_detail.h"
#include "gtest/gtest.h"

namespace evenkeel::rpc {
namespace {

grpc::ByteBuffer Buffer(const std::string& bytes, size_t slice_bytes = 7) {
  std::vector<grpc::Slice> slices;
  for (size_t i = 0; i < bytes.size(); i += slice_bytes) slices.emplace_back(bytes.substr(i, slice_bytes));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

// With every field as large as it can be.
v1::PushRequest LargestPush(const v1::JobSpec& job, int ranks) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  v1::PushRequest push;
  push.set_job(job.name());
  push.set_contributor(std::numeric_limits<int>::max());
  push.set_incarnation(kMost);
  push.set_epoch(kMost);
  push.set_step(kMost);
  push.set_ok(true);
  push.mutable_routed_with()->set_epoch(kMost);
  push.mutable_routed_with()->set_step(kMost);
  for (const v1::LayerSpec& layer : job.layers()) {
    for (int row = 0; row < std::max(layer.streams(), 1); ++row) {
      push.add_valid_tokens(kMost);
      push.add_short_slots(kMost);
      for (int i = 0; i < layer.num_experts(); ++i) {
        push.mutable_routed()->add_low(1);
        push.mutable_routed()->add_high(1);
        if (!layer.counts_dispatched()) continue;
        push.mutable_dispatched()->add_low(1);
        push.mutable_dispatched()->add_high(1);
      }
    }
  }
  push.set_provisional(true);
  push.set_counts_lost(true);
  push.set_replayed(true);
  for (int i = 0; i < ranks; ++i) {
    push.add_rank_fingerprints(kMost);
    push.add_diverged_ranks(std::numeric_limits<int>::max());
  }
  return push;
}

v1::JobSpec RandomJob(std::mt19937* random) {
  v1::JobSpec job;
  job.set_name(std::string(128, 'j'));
  for (unsigned i = (*random)() % 60; i > 0; --i) {
    v1::LayerSpec* layer = job.add_layers();
    layer->set_num_experts(1 + (*random)() % 300);
    layer->set_streams((*random)() % 4);
    layer->set_counts_dispatched((*random)() % 2 == 0);
  }
  return job;
}

TEST(PushShapeTest, EveryPushOfAJobFitsAndNotMuchMore) {
  std::mt19937 random(20261121);
  for (int round = 0; round < 50; ++round) {
    const v1::JobSpec job = RandomJob(&random);
    const int ranks = 1 + random() % 2000;
    const size_t largest = LargestPush(job, ranks).ByteSizeLong();
    EXPECT_LE(largest, MaxPushBytes(job, ranks));
    EXPECT_LE(MaxPushBytes(job, ranks), largest + 8192);
  }
}

TEST(PushShapeTest, ALargerPushIsRefused) {
  v1::JobSpec job;
  job.set_name("run");
  job.add_layers()->set_num_experts(8);
  PushShapes shapes;
  EXPECT_TRUE(shapes.Check("run", 1 << 30).ok()) << "not known yet";
  shapes.Learn(job, 1);
  const size_t most = MaxPushBytes(job, 1);
  EXPECT_TRUE(shapes.Check("run", most).ok());
  EXPECT_EQ(ReasonOf(shapes.Check("run", most + 1)), v1::ErrorDetail::SHAPE_MISMATCH);
  shapes.Learn(job, 100);
  shapes.Learn(job, 1);
  EXPECT_TRUE(shapes.Check("run", MaxPushBytes(job, 100)).ok()) << "the contributor with the most ranks decides";
}

TEST(PushShapeTest, FindsTheJobWhereverItStands) {
  std::mt19937 random(20261121);
  v1::PushRequest push = LargestPush(RandomJob(&random), 3);
  push.set_job("run");
  EXPECT_EQ(JobOf(Buffer(push.SerializeAsString())).value(), "run");
  v1::PushRequest name_only;
  name_only.set_job("another");
  const std::string twice = push.SerializeAsString() + name_only.SerializeAsString();
  EXPECT_EQ(JobOf(Buffer(twice)).value(), "another") << "as parsing has it: the last one counts";
  v1::PushRequest parsed;
  ASSERT_TRUE(parsed.ParseFromString(twice));
  EXPECT_EQ(parsed.job(), "another");
  EXPECT_EQ(JobOf(Buffer("")).value(), "");
}

TEST(PushShapeTest, AgreesWithTheParserOnDamagedBytes) {
  std::mt19937 random(4);
  v1::JobSpec job;
  job.set_name("run");
  job.add_layers()->set_num_experts(4);
  const std::string good = LargestPush(job, 2).SerializeAsString();
  int readable = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good.substr(0, random() % (good.size() + 1));
    for (int i = random() % 3; i > 0 && !bytes.empty(); --i) bytes[random() % bytes.size()] = random();
    v1::PushRequest parsed;
    if (!parsed.ParseFromString(bytes)) continue;
    const absl::StatusOr<std::string> found = JobOf(Buffer(bytes));
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(*found, parsed.job());
    ++readable;
  }
  EXPECT_GT(readable, 100);
}

}  // namespace
}  // namespace evenkeel::rpc
