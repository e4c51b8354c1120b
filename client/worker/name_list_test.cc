#include "client/worker/name_list.h"

#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

TEST(NameListTest, NamesEveryName) {
  EXPECT_EQ(NameList({}), "");
  EXPECT_EQ(NameList({"gate"}), "gate");
  EXPECT_EQ(NameList({"model.layers.3.mlp.gate"}), "model.layers.3.mlp.gate");
  EXPECT_EQ(NameList({"b", "a", "a.b"}), "b, a, a.b");
}

TEST(NameListTest, WritesNumbersTogether) {
  EXPECT_EQ(NameList({"l.10.gate", "l.3.gate", "l.4.gate", "l.5.gate", "mtp.0.gate", "l.7.gate", "l.3.router"}),
            "l.[3-5,7,10].gate, mtp.0.gate, l.3.router");
  EXPECT_EQ(NameList({"0", "1", "2"}), "[0-2]");
  EXPECT_EQ(NameList({"block.1.expert.2", "block.1.expert.3"}), "block.1.expert.2, block.1.expert.3");
}

TEST(NameListTest, NumbersInAnotherWritingStayWhatTheyAre) {
  EXPECT_EQ(NameList({"l.01", "l.02", "l.00"}), "l.01, l.02, l.00");
  EXPECT_EQ(NameList({"l.12345678901", "l.12345678902"}), "l.12345678901, l.12345678902");
}

}  // namespace
}  // namespace evenkeel::client
