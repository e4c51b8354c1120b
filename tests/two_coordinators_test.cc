// Two coordinators: one that finds the state or the address taken says so and ends; and of two with a copy of the state
// each, at most one commits.

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/protocol_client.h"
#include "tests/proxied_bench.h"
#include "tests/push_metric.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;

class TwoCoordinatorsTest : public ProxiedBench {
 protected:
  void SetUp() override {
    coordinator_options_.flags = {"--admin_listen=127.0.0.1:0"};
    ProxiedBench::SetUp();
  }

  // A second one, which is to be refused: what it says.
  static std::string Refusal(const std::string& state_dir, const std::string& listen,
                             const std::string& metrics_listen = "none", const std::string& admin_listen = "none") {
    const Ending ending = RunEvenkeeld({"--state_dir=" + state_dir, "--listen=" + listen,
                                        "--metrics_listen=" + metrics_listen, "--admin_listen=" + admin_listen});
    EXPECT_EQ(ending.exit_code, 1);
    return ending.stderr_text;
  }

  static v1::DescribeJobResponse DescribeAt(const EvenkeeldProcess& coordinator, const std::string& job) {
    v1::DescribeJobRequest request;
    request.set_job(job);
    v1::DescribeJobResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const grpc::Status status = coordinator.NewStub()->DescribeJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  void SendTo(const EvenkeeldProcess& coordinator, const std::vector<int>& ranks) {
    for (const int rank : ranks) {
      way(rank).SetTarget(coordinator.address());
      way(rank).Cut(TcpProxy::End::kReset);
    }
  }
};

TEST_F(TwoCoordinatorsTest, TheSecondOnAStateDirectoryNamesTheProcessThatHoldsIt) {
  const std::string held =
      absl::StrCat("state directory \"", coordinator_options_.state_dir, "\" is held by process ", coordinator_->pid());
  EXPECT_THAT(Refusal(coordinator_options_.state_dir, "127.0.0.1:0"), HasSubstr(held));
  // One that is stopped holds it too: nothing expires that could be taken for an end.
  coordinator_->Signal(SIGSTOP);
  EXPECT_THAT(Refusal(coordinator_options_.state_dir, "127.0.0.1:0"), HasSubstr(held));
  coordinator_->Signal(SIGCONT);
  tally_.Add("second coordinator on the state", 2);
  StartProxiedJob(Alone(2), /*steps=*/5, {});
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
}

TEST_F(TwoCoordinatorsTest, TheSecondOnAnAddressNamesIt) {
  StartProxiedJob(Alone(2), /*steps=*/20, {});
  GoTo(10);
  const std::string other = NewFolder("other");
  EXPECT_THAT(Refusal(other, coordinator_->address()),
              HasSubstr(absl::StrCat("cannot listen on ", coordinator_->address())));
  EXPECT_THAT(Refusal(other, "127.0.0.1:0", coordinator_->metrics_address()),
              HasSubstr(coordinator_->metrics_address()));
  EXPECT_THAT(Refusal(other, "127.0.0.1:0", "none", coordinator_->admin_address()),
              HasSubstr(absl::StrCat("cannot listen on ", coordinator_->admin_address())));
  // All addresses of the machine, this one among them.
  const std::vector<std::string> parts = absl::StrSplit(coordinator_->address(), ':');
  const Ending everywhere =
      RunEvenkeeld({"--state_dir=" + other, "--listen=0.0.0.0:" + parts[1], "--metrics_listen=none", "--insecure"});
  EXPECT_EQ(everywhere.exit_code, 1);
  EXPECT_THAT(everywhere.stderr_text, HasSubstr("cannot listen on 0.0.0.0:" + parts[1]));
  tally_.Add("second coordinator on the address", 4);
  // Those who were refused have left the directory as they found it.
  EvenkeeldProcess::Options options;
  options.state_dir = other;
  EXPECT_TRUE(EvenkeeldProcess::Start(options).ok());
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
}

// With SO_REUSEPORT on both sides the kernel would deal the workers out to both.
TEST_F(TwoCoordinatorsTest, NobodySharesTheAddress) {
  for (const std::string& address :
       {coordinator_->address(), coordinator_->metrics_address(), coordinator_->admin_address()}) {
    const std::vector<std::string> parts = absl::StrSplit(address, ':');
    sockaddr_in place = {};
    place.sin_family = AF_INET;
    place.sin_port = htons(static_cast<uint16_t>(std::stoi(parts[1])));
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)), 0);
    EXPECT_NE(bind(fd, reinterpret_cast<const sockaddr*>(&place), sizeof(place)), 0) << address;
    EXPECT_EQ(errno, EADDRINUSE) << address;
    close(fd);
  }
}

// A standby that somebody starts on a copy of the state while the first still lives, and a network that cannot decide.
TEST_F(TwoCoordinatorsTest, OfTwoWithACopyOfTheStateOneCommits) {
  constexpr uint64_t kCopied = 20;
  StartProxiedJob(Alone(3), /*steps=*/60, {{"on_loss", "wait"}});
  GoTo(kCopied);
  ASSERT_TRUE(AwaitLines(kCopied));
  AwaitCommitted(kCopied);
  EvenkeeldProcess::Options options;
  options.state_dir = NewFolder("copy");
  std::filesystem::copy(coordinator_options_.state_dir, options.state_dir);
  absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> started = EvenkeeldProcess::Start(options);
  ASSERT_TRUE(started.ok()) << started.status();
  const std::unique_ptr<EvenkeeldProcess> first = std::exchange(coordinator_, *std::move(started));
  tally_.Add("second coordinator on a copy of the state");

  // Each has some of the open step's pushes, and waits for the others.
  SendTo(*coordinator_, {0});
  GoTo(kCopied + 20);
  ASSERT_EQ(AwaitPushed(first->NewStub().get(), job_, {1, 2}), absl::OkStatus());
  ASSERT_EQ(AwaitPushed(coordinator_->NewStub().get(), job_, {0}), absl::OkStatus());

  // Who has met the second leaves the first alone, though the first lacks nothing but its push.
  SendTo(*first, {0});
  EXPECT_TRUE(Eventually([&] { return PushesWith(*first, job_, "epoch_ahead") >= 3; }));
  EXPECT_EQ(AwaitPushed(first->NewStub().get(), job_, {1, 2}), absl::OkStatus());
  EXPECT_EQ(DescribeAt(*first, job_).summary().version().step(), kCopied);

  // And who has not goes on with the second where the first stands still.
  SendTo(*coordinator_, {0, 1});
  ASSERT_EQ(AwaitPushed(coordinator_->NewStub().get(), job_, {0, 1}), absl::OkStatus());
  SendTo(*coordinator_, {2});
  AwaitCommitted(kCopied + 20);
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
  EXPECT_EQ(DescribeAt(*first, job_).summary().version().step(), kCopied);
  for (int rank = 0; rank < ranks(); ++rank) {
    for (const StepLine& line : Lines(rank)) {
      ASSERT_EQ(line.epoch, line.version <= kCopied ? 1 : 2) << "rank " << rank << ", " << line.step;
    }
  }
}

}  // namespace
}  // namespace evenkeel::tests
