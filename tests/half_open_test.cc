// Connections of which one end is gone and the other does not know: who notices, when, and what the rest of the job
// does meanwhile. A coordinator that is stopped is half_dead_coordinator_test's.

#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <string>

#include "base/error_detail.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/protocol_client.h"
#include "tests/proxied_bench.h"
#include "tests/push_metric.h"

namespace evenkeel::tests {
namespace {

constexpr int64_t kPingBytes = 17;  // of HTTP/2

class HalfOpenTest : public ProxiedBench {
 protected:
  void SetUp() override {
    const std::string config = NewFolder("config") + "/evenkeeld.yaml";
    std::ofstream(config) << "limits: {max_silence_seconds: 4}\n";
    coordinator_options_.flags = {"--config=" + config};
    ProxiedBench::SetUp();
  }

  static std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }
};

// Its worker is lost to the network, not to the job: whoever is started in its place takes it at once, and it hears
// that it has been replaced when it comes back.
TEST_F(HalfOpenTest, TheSlotOfAWorkerBehindADeadConnectionIsTakenAndTheConnectionDropped) {
  TcpProxy idle_way(coordinator_->address());
  TcpProxy way(coordinator_->address());
  const auto idle_channel = ChannelTo(idle_way.address());
  const auto old_stub = v1::BiasCoordinator::NewStub(ChannelTo(way.address()));
  const auto stub = NewStub();
  const v1::JobSpec job = SmallJob("half-open", 2);
  ASSERT_TRUE(idle_channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(30)));
  const absl::StatusOr<v1::JoinResponse> old = Join(old_stub.get(), JoinOf(job, 0, /*incarnation=*/1, 1));
  ASSERT_TRUE(old.ok()) << old.status();
  const absl::StatusOr<v1::JoinResponse> other = Join(stub.get(), JoinOf(job, 1, /*incarnation=*/2, 1));
  ASSERT_TRUE(other.ok()) << other.status();
  auto lost = PushLater(old_stub.get(), PushOf(job, 0, /*incarnation=*/1, 1, *old));
  ASSERT_EQ(AwaitPushed(stub.get(), job.name(), {0}), absl::OkStatus());

  // A connection without calls is asked for a sign of life again and again, and keeps giving it.
  const int64_t bytes = idle_way.tally().bytes[TcpProxy::kToServer];
  EXPECT_TRUE(Eventually([&] { return idle_way.tally().bytes[TcpProxy::kToServer] >= bytes + 4 * kPingBytes; }));
  EXPECT_EQ(idle_way.tally().ended_by_server, 0);
  EXPECT_EQ(way.tally().ended_by_server, 0);

  EXPECT_EQ(way.Forsake(), 1);
  EXPECT_EQ(idle_way.Forsake(), 1);
  tally_.Add("half-open connection", 2);
  const absl::StatusOr<v1::JoinResponse> successor = Join(stub.get(), JoinOf(job, 0, /*incarnation=*/3, 1));
  ASSERT_TRUE(successor.ok()) << successor.status();
  auto anew = PushLater(stub.get(), PushOf(job, 0, /*incarnation=*/3, 1, *successor));
  const absl::StatusOr<v1::CommittedVersion> version = Push(stub.get(), PushOf(job, 1, /*incarnation=*/2, 1, *other));
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(anew.get()->SerializeAsString(), version->SerializeAsString());

  EXPECT_TRUE(Eventually([&] { return way.tally().ended_by_server == 1; })) << "the one with a call";
  EXPECT_TRUE(Eventually([&] { return idle_way.tally().ended_by_server == 1; })) << "the one without";
  way.Cut(TcpProxy::End::kReset);
  EXPECT_EQ(lost.get().status().code(), absl::StatusCode::kUnavailable);
  const absl::Status late = Push(old_stub.get(), PushOf(job, 0, /*incarnation=*/1, 1, *old)).status();
  EXPECT_EQ(ReasonOf(late), v1::ErrorDetail::REPLACED) << late;
}

// A path that has changed: the connection is dead for ever, and a new one would do. The others go on without noticing.
TEST_F(HalfOpenTest, AWorkerFindsThatItsConnectionIsDeadAndMakesAnother) {
  StartProxiedJob(Alone(3), /*steps=*/60, {{"on_loss", "hold"}, {"patience_ms", "100"}});
  GoTo(20);
  ASSERT_TRUE(AwaitLines(20));
  EXPECT_EQ(way(1).Forsake(), 1);
  tally_.Add("half-open connection");
  GoTo(50);
  ASSERT_TRUE(AwaitLines(50));
  EXPECT_TRUE(Eventually([&] { return way(1).tally().ended_by_client == 1; }));
  AwaitCommitted(50);
  EXPECT_GE(way(1).tally().open, 1);
  EXPECT_EQ(way(0).tally().ended_by_client + way(0).tally().ended_by_server, 0);
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
}

// The coordinator keeps what it believes to be calls. The newest is the one that is alive.
TEST_F(HalfOpenTest, APushWhoseConnectionIsCutAgainAndAgainWithoutTheCoordinatorHearingIsAnswered) {
  constexpr int kCuts = 12;  // more than the 8 calls that may wait
  StartProxiedJob(Alone(2), /*steps=*/10, {{"on_loss", "wait"}});
  GoTo(5);
  ASSERT_TRUE(AwaitLines(5));
  worker(0).Tell("6");
  ASSERT_EQ(AwaitPushed(NewStub().get(), job_, {0}), absl::OkStatus());
  for (int cut = 0; cut < kCuts; ++cut) {
    const double repeated = PushesWith(*coordinator_, job_, "duplicate");
    ASSERT_GE(way(0).Cut(TcpProxy::End::kReset, TcpProxy::Told::kOnlyClient), 1);
    tally_.Add("cut of which one end hears");
    ASSERT_TRUE(Eventually([&] { return PushesWith(*coordinator_, job_, "duplicate") > repeated; })) << cut;
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
}

}  // namespace
}  // namespace evenkeel::tests

int main(int argc, char** argv) {
  // The coordinator of this test asks soon: gRPC looks at a channel without calls every 5 s, unless told otherwise.
  setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "200", /*overwrite=*/1);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
