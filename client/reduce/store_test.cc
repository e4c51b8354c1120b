#include "client/reduce/store.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

GroupPlace Place(int rank, int size) {
  GroupPlace place;
  place.job = "run";
  place.group = "world";
  place.rank = rank;
  place.size = size;
  return place;
}

TEST(StoreTest, WhatIsNoStoreIsRefused) {
  const auto refusal = [](const std::string& store) {
    const absl::Status status = MakeRendezvous(store, Place(0, 1), /*incarnation=*/1).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("store \"" + store + "\""));
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(""), HasSubstr("host and port"));
  EXPECT_THAT(refusal("somewhere"), HasSubstr("host and port"));
  EXPECT_THAT(refusal(":7411"), HasSubstr("host and port"));
  EXPECT_THAT(refusal("tcp://somewhere"), HasSubstr("host and port"));
  EXPECT_THAT(refusal("tcp://somewhere:0"), HasSubstr("port from 1"));
  EXPECT_THAT(refusal("somewhere:65536"), HasSubstr("port from 1"));
  EXPECT_THAT(refusal("somewhere:http"), HasSubstr("port from 1"));
  EXPECT_THAT(refusal("file://relative/path"), HasSubstr("absolute path"));
  EXPECT_THAT(refusal("file:///no/such/folder"), HasSubstr("no folder"));
  EXPECT_THAT(refusal("file:///dev/null"), HasSubstr("no folder"));
}

TEST(StoreTest, TheFirstRankMustBeAbleToListen) {
  // An address of the documentation's network is no machine's.
  const absl::Status status = MakeRendezvous("tcp://192.0.2.1:7413", Place(0, 2), /*incarnation=*/1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("192.0.2.1:7413"));
  EXPECT_TRUE(MakeRendezvous("tcp://192.0.2.1:7413", Place(1, 2), /*incarnation=*/1).ok());
}

TEST(StoreTest, ARankAloneMeetsItself) {
  const absl::StatusOr<std::unique_ptr<Rendezvous>> rendezvous =
      MakeRendezvous(std::string("file://") + getenv("TEST_TMPDIR"), Place(0, 1), /*incarnation=*/1);
  ASSERT_TRUE(rendezvous.ok()) << rendezvous.status();
  const auto values = (*rendezvous)->Exchange("join", "a", std::chrono::steady_clock::now());
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_THAT(*values, ElementsAre("a"));
}

TEST(StoreTest, TheHostIsWhatStandsBeforeThePort) {
  EXPECT_EQ(HostOf("file:///shared/folder"), "");
  EXPECT_EQ(HostOf("tcp://node-1:7413"), "node-1");
  EXPECT_EQ(HostOf("127.0.0.1:7411"), "127.0.0.1");
  EXPECT_EQ(HostOf("tcp://[::1]:7413"), "::1");
}

}  // namespace
}  // namespace evenkeel::client
