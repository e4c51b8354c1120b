// Connections that the coordinator ends because they are old (GOAWAY), with pushes that wait in them: the workers come
// again, and that is all.

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/protocol_client.h"
#include "tests/proxied_bench.h"

namespace evenkeel::tests {
namespace {

class ConnectionAgeTest : public ProxiedBench {
 protected:
  void SetUp() override {
    const std::string config = NewFolder("config") + "/evenkeeld.yaml";
    std::ofstream(config) << "limits: {max_connection_age_seconds: 1}\n";
    coordinator_options_.flags = {"--config=" + config};
    ProxiedBench::SetUp();
  }

  // Until every connection that is there now is too old.
  void OutliveConnections() {
    // Ages differ by a tenth up or down: the second of two that follow each other ends after any that was there before.
    for (int time = 0; time < 2; ++time) {
      TcpProxy way(coordinator_->address());
      const auto channel = grpc::CreateChannel(way.address(), grpc::InsecureChannelCredentials());
      ASSERT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(30)));
      ASSERT_TRUE(Eventually([&] { return way.tally().ended_by_server + way.tally().ended_by_client > 0; }));
    }
  }

  void ExpectNobodyStale() {
    for (int rank = 0; rank < ranks(); ++rank) {
      for (const StepLine& line : Lines(rank)) ASSERT_EQ(line.staleness, 0) << "rank " << rank;
    }
  }
};

TEST_F(ConnectionAgeTest, APushThatWaitsInAnOldConnectionIsAnsweredThereAndTheNextGoesAnotherWay) {
  constexpr uint64_t kFirst = 11;
  constexpr uint64_t kLast = 13;
  StartProxiedJob(Alone(3), /*steps=*/20, {{"on_loss", "wait"}});
  GoTo(kFirst - 1);
  ASSERT_TRUE(AwaitLines(kFirst - 1));
  AwaitCommitted(kFirst - 1);
  for (uint64_t step = kFirst; step <= kLast; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    for (const int rank : {0, 1}) worker(rank).Tell(absl::StrCat(step));
    ASSERT_EQ(AwaitPushed(NewStub().get(), job_, {0, 1}), absl::OkStatus());
    const int64_t accepted = way(0).tally().accepted;
    ASSERT_NO_FATAL_FAILURE(OutliveConnections());
    tally_.Add("GOAWAY with a push that waits", 2);
    EXPECT_EQ(way(0).tally().accepted, accepted) << "it waits where it is";
    worker(2).Tell(absl::StrCat(step));
    AwaitCommitted(step);
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
  ExpectNobodyStale();
  for (const int rank : {0, 1}) EXPECT_GE(way(rank).tally().accepted, kLast - kFirst + 1) << "rank " << rank;
}

TEST_F(ConnectionAgeTest, AJobUnderLoadDoesNotNoticeHowItsConnectionsAge) {
  constexpr uint64_t kSteps = 2'000;
  constexpr int64_t kConnections = 4;
  StartProxiedJob(Alone(3), kSteps, {{"on_loss", "wait"}});
  for (uint64_t step = 1; step <= kSteps; ++step) {
    GoTo(step);
    absl::SleepFor(absl::Milliseconds(3));  // 6 s in all, which is older than four connections become
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
  ExpectNobodyStale();
  for (int rank = 0; rank < ranks(); ++rank) {
    EXPECT_GE(way(rank).tally().accepted, kConnections) << "rank " << rank;
    tally_.Add("GOAWAY under load", way(rank).tally().accepted - 1);
  }
}

}  // namespace
}  // namespace evenkeel::tests

int main(int argc, char** argv) {
  // gRPC looks at a channel without calls every 5 s, unless told otherwise.
  setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "50", /*overwrite=*/1);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
