#include "rendezvous/memory.h"

#include "gtest/gtest.h"

namespace evenkeel::rendezvous {
namespace {

Answer AnswerOf(size_t bytes) {
  auto answer = std::make_shared<v1::RendezvousResponse>();
  answer->add_values(std::string(bytes, 'x'));
  return answer;
}

TEST(MemoryTest, FindsWhatItRemembersUntilItForgets) {
  Memory memory(1 << 20);
  EXPECT_EQ(memory.Find("a"), nullptr);
  const Answer answer = AnswerOf(100);
  memory.Remember("a", answer);
  EXPECT_EQ(memory.Find("a"), answer);
  memory.Forget("b");
  memory.Forget("a");
  EXPECT_EQ(memory.Find("a"), nullptr);
  memory.Remember("a", answer);
  EXPECT_EQ(memory.Find("a"), answer);
}

TEST(MemoryTest, ForgetsTheOldestFirstBeyondItsCapacity) {
  Memory memory(10'000);
  for (const char* name : {"a", "b", "c"}) memory.Remember(name, AnswerOf(4'000));
  EXPECT_EQ(memory.Find("a"), nullptr);
  EXPECT_NE(memory.Find("b"), nullptr);
  EXPECT_NE(memory.Find("c"), nullptr);
  memory.Forget("b");
  memory.Remember("d", AnswerOf(4'000));
  EXPECT_NE(memory.Find("c"), nullptr);
  EXPECT_NE(memory.Find("d"), nullptr);
}

TEST(MemoryTest, WhatIsLargerThanItsCapacityIsNotRemembered) {
  Memory memory(10'000);
  memory.Remember("a", AnswerOf(20'000));
  EXPECT_EQ(memory.Find("a"), nullptr);
  memory.Remember("a", AnswerOf(1));
  EXPECT_NE(memory.Find("a"), nullptr);
}

TEST(MemoryTest, EmptyAnswersHaveAPriceToo) {
  Memory memory(10'000);
  for (int i = 0; i < 1'000; ++i) memory.Remember("exchange " + std::to_string(i), AnswerOf(0));
  EXPECT_EQ(memory.Find("exchange 0"), nullptr);
  EXPECT_NE(memory.Find("exchange 999"), nullptr);
}

}  // namespace
}  // namespace evenkeel::rendezvous
