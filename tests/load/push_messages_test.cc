#include "tests/load/push_messages.h"

#include <numeric>
#include <set>

#include "grpcpp/impl/codegen/proto_utils.h"
#include "gtest/gtest.h"

namespace evenkeel::load {
namespace {

LoadCase Small() {
  LoadCase load_case;
  load_case.workers = 34;
  load_case.layers = 3;
  load_case.experts = 16;
  return load_case;
}

v1::PushRequest Parsed(grpc::ByteBuffer bytes) {
  v1::PushRequest push;
  EXPECT_TRUE(grpc::SerializationTraits<v1::PushRequest>::Deserialize(&bytes, &push).ok());
  return push;
}

TEST(PushMessagesTest, APushIsAnHonestWorkers) {
  const PushMessages messages(Small());
  const v1::PushRequest push = Parsed(messages.Push("job", 5, /*epoch=*/3, /*step=*/9));
  EXPECT_EQ(push.job(), "job");
  EXPECT_EQ(push.contributor(), 5);
  EXPECT_EQ(push.incarnation(), messages.Join("job", 5).incarnation());
  EXPECT_EQ(push.epoch(), 3);
  EXPECT_EQ(push.step(), 9);
  EXPECT_TRUE(push.ok());
  EXPECT_EQ(push.routed_with().epoch(), 3);
  EXPECT_EQ(push.routed_with().step(), 8);
  ASSERT_EQ(push.valid_tokens_size(), 3);
  ASSERT_EQ(push.routed().low_size(), 3 * 16);
  for (int layer = 0; layer < 3; ++layer) {
    const auto first = push.routed().low().begin() + layer * 16;
    EXPECT_EQ(std::accumulate(first, first + 16, 0u), LoadCase::kTopK * push.valid_tokens(layer));
  }
}

TEST(PushMessagesTest, TheSumsOfFollowingStepsDiffer) {
  const PushMessages messages(Small());
  std::set<std::vector<uint32_t>> sums;
  for (uint64_t step = 1; step <= 3; ++step) {
    std::vector<uint32_t> sum(3 * 16);
    for (int contributor = 0; contributor < 33; ++contributor) {  // one less than goes round
      const v1::PushRequest push = Parsed(messages.Push("job", contributor, 1, step));
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += push.routed().low(i);
    }
    sums.insert(sum);
  }
  EXPECT_EQ(sums.size(), 3);
}

TEST(PushMessagesTest, TheSeedIsAllThatTheCountsDependOn) {
  const v1::PushRequest push = Parsed(PushMessages(Small(), 1).Push("job", 0, 1, 1));
  EXPECT_EQ(Parsed(PushMessages(Small(), 1).Push("other", 0, 1, 1)).routed().SerializeAsString(),
            push.routed().SerializeAsString());
  EXPECT_NE(Parsed(PushMessages(Small(), 2).Push("job", 0, 1, 1)).routed().SerializeAsString(),
            push.routed().SerializeAsString());
}

TEST(PushMessagesTest, AllJoinOneJob) {
  const PushMessages messages(Small());
  const v1::JoinRequest first = messages.Join("job", 0);
  const v1::JoinRequest second = messages.Join("job", 1);
  EXPECT_EQ(first.job().SerializeAsString(), second.job().SerializeAsString());
  EXPECT_EQ(first.job().contributors(), 34);
  EXPECT_EQ(first.job().layers_size(), 3);
  EXPECT_NE(first.incarnation(), second.incarnation());
  EXPECT_NE(first.incarnation(), 0);
}

}  // namespace
}  // namespace evenkeel::load
