#include "server/core/simulation/network.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::core::simulation {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LinkTest : public ::testing::Test {
 protected:
  // Sends so many messages at once; returns those that arrive, in order.
  std::vector<int> Send(Direction direction, int messages) {
    arrived_.clear();
    for (int i = 1; i <= messages; ++i) link_->Send(direction, [this, i] { arrived_.push_back(i); });
    while (!loop_.empty()) loop_.RunNext();
    return arrived_;
  }
  void Start(const NetworkFaults& faults, const std::optional<Fate::Faults>& only = {}) {
    fate_.emplace(only);
    network_ = {&loop_, &*fate_, &journal_, /*seed=*/7, faults};
    link_.emplace(&network_, "job/0.0");
  }

  EventLoop loop_;
  Journal journal_{&loop_, /*keep_events=*/false};
  std::optional<Fate> fate_;
  Link::Network network_;
  std::optional<Link> link_;
  std::vector<int> arrived_;
};

TEST_F(LinkTest, LosesAndDoublesWhatIsToBeLostAndDoubled) {
  NetworkFaults faults;
  faults.lost = 100;
  Start(faults);
  EXPECT_THAT(Send(Direction::kToServer, 2), IsEmpty());
  EXPECT_THAT(fate_->struck(), ElementsAre("lost:job/0.0>1", "lost:job/0.0>2"));
  faults = NetworkFaults();
  faults.doubled = 100;
  Start(faults);
  EXPECT_THAT(Send(Direction::kFromServer, 1), ElementsAre(1, 1));
  EXPECT_THAT(fate_->struck(), ElementsAre("doubled:job/0.0<1"));
}

TEST_F(LinkTest, OnlyTheFaultsOfItsFateStrike) {
  NetworkFaults faults;
  faults.lost = 100;
  Start(faults, Fate::Faults{"lost:job/0.0>2"});
  EXPECT_THAT(Send(Direction::kToServer, 3), ::testing::UnorderedElementsAre(1, 3));
  EXPECT_THAT(fate_->struck(), ElementsAre("lost:job/0.0>2"));
}

TEST_F(LinkTest, IsCutInOneDirectionForAWhile) {
  Start(NetworkFaults());
  link_->Cut(Direction::kToServer, 10);
  EXPECT_TRUE(link_->IsCut(Direction::kToServer));
  EXPECT_FALSE(link_->IsCut(Direction::kFromServer));
  EXPECT_THAT(Send(Direction::kToServer, 1), IsEmpty());
  EXPECT_THAT(Send(Direction::kFromServer, 1), ElementsAre(1));
  loop_.After(10, [] {});
  loop_.RunNext();
  EXPECT_THAT(Send(Direction::kToServer, 1), ElementsAre(1));
}

TEST_F(LinkTest, WhatIsLateIsLostWithItsProcess) {
  NetworkFaults faults;
  faults.late = 100;
  faults.max_delay_ms = 1'000'000;
  Start(faults);
  link_->Send(Direction::kToServer, [this] { arrived_.push_back(1); });
  link_->Close();
  EXPECT_THAT(Send(Direction::kToServer, 1), IsEmpty());
}

}  // namespace
}  // namespace evenkeel::core::simulation
