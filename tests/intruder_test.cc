// What strangers do to a listening coordinator who need not know anything: connections without end, bytes without end.
// The steps of a job go on, and memory stays bounded.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/half_sent_pushes.h"
#include "tests/health.h"
#include "tests/protocol_client.h"
#include "tests/secure_coordinator.h"

namespace evenkeel::tests {
namespace {

// A sanitizer keeps books about every byte.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int64_t kMemoryFactor = 4;
#else
constexpr int64_t kMemoryFactor = 1;
#endif

using ::testing::HasSubstr;

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const std::string& EmptySettings() {
  static const std::string& frame = *new std::string("\0\0\0\x04\0\0\0\0\0", 9);
  return frame;
}
// The beginning of a HEADERS frame of 4,096 bytes on stream 1, of which no more comes.
const std::string& EndlessHeaders() {
  static const std::string& frame = *new std::string("\0\x10\0\x01\0\0\0\0\x01\x82", 10);
  return frame;
}

// A TCP connection, without any protocol.
class RawConnection {
 public:
  explicit RawConnection(const std::string& address) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    int port = 0;
    const size_t colon = address.rfind(':');
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(colon + 1), &port));
    to.sin_port = htons(port);
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0) << errno;
    fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  RawConnection(RawConnection&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  ~RawConnection() {
    if (fd_ >= 0) close(fd_);
  }

  void Send(const std::string& bytes) { (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  // Whether the other side has ended it; reads what is there.
  bool IsClosed() {
    char bytes[4096];
    while (true) {
      const ssize_t size = recv(fd_, bytes, sizeof(bytes), 0);
      if (size == 0) return true;
      if (size < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
    }
  }

 private:
  int fd_;
};

class IntruderTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& flags = {}, int max_open_files = 0) {
    EvenkeeldProcess::Options options;
    options.state_dir = NewFolder("state");
    options.flags = flags;
    options.max_open_files = max_open_files;
    absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(options);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    stub_ = process_->NewStub();
    ASSERT_EQ(RunSteps(stub_.get(), "run", 1, 10), 10);
    resident_ = ResidentBytes(process_->pid());
  }

  std::vector<RawConnection> Connect(int count) const {
    std::vector<RawConnection> connections;
    for (int i = 0; i < count; ++i) connections.emplace_back(process_->address());
    return connections;
  }

  static int CountClosed(std::vector<RawConnection>* connections) {
    int closed = 0;
    for (RawConnection& connection : *connections) closed += connection.IsClosed();
    return closed;
  }

  void ExpectGrowthBelow(int64_t bytes, const char* what) const {
    const int64_t grown = ResidentBytes(process_->pid()) - resident_;
    std::printf("%s: evenkeeld was at %ld KiB and grew by %ld KiB\n", what, static_cast<long>(resident_ >> 10),
                static_cast<long>(grown >> 10));
    EXPECT_LT(grown, kMemoryFactor * bytes);
  }

  // A call over a connection of its own.
  bool ANewcomerIsServed() const { return ListJobs(process_->address(), Visitor()).ok(); }

  std::unique_ptr<EvenkeeldProcess> process_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  int64_t resident_ = 0;
};

TEST_F(IntruderTest, SlowlorisDoesNotHoldWhatItNeverFinishes) {
  Start();
  std::vector<RawConnection> slow = Connect(200);
  // One byte of the handshake with every step, to each.
  const std::string preface = kPreface;
  for (uint64_t i = 0; i < 20; ++i) {
    for (RawConnection& connection : slow) connection.Send(preface.substr(i, 1));
    ASSERT_EQ(RunSteps(stub_.get(), "run", 11 + i, 11 + i), 1);
  }
  EXPECT_EQ(CountClosed(&slow), 0) << "what came so far is right";
  EXPECT_TRUE(Eventually([&] { return CountClosed(&slow) == 200; })) << CountClosed(&slow);
  EXPECT_EQ(RunSteps(stub_.get(), "run", 31, 40), 10);
  EXPECT_TRUE(ANewcomerIsServed());
  ExpectGrowthBelow(int64_t{64} << 20, "slowloris");
}

TEST_F(IntruderTest, HeadersThatNeverEndHoldNobodyElseUp) {
  Start();
  std::vector<RawConnection> slow = Connect(200);
  for (RawConnection& connection : slow) connection.Send(kPreface + EmptySettings() + EndlessHeaders());
  for (uint64_t i = 0; i < 50; ++i) {
    for (RawConnection& connection : slow) connection.Send("\x82");
    ASSERT_EQ(RunSteps(stub_.get(), "run", 11 + i, 11 + i), 1);
  }
  EXPECT_TRUE(ANewcomerIsServed());
  ExpectGrowthBelow(int64_t{64} << 20, "endless headers");
}

TEST_F(IntruderTest, AThousandIdleConnections) {
  Start();
  std::vector<RawConnection> idle = Connect(1000);
  for (RawConnection& connection : idle) connection.Send(kPreface + EmptySettings());
  EXPECT_EQ(RunSteps(stub_.get(), "run", 11, 60), 50);
  EXPECT_TRUE(ANewcomerIsServed());
  ExpectGrowthBelow(int64_t{256} << 20, "a thousand idle connections");
  EXPECT_EQ(CountClosed(&idle), 0) << "they are within the bound";
}

TEST_F(IntruderTest, ConnectionsBeyondTheBoundAreClosedAndMakeRoomWhenTheyEnd) {
  const std::string config = NewFolder("config") + "/evenkeeld.yaml";
  ReplaceFile(config, "limits: {max_connections: 100}\n");
  Start({"--config=" + config});
  {
    // Half of it is for one peer, and that has one connection already.
    std::vector<RawConnection> many = Connect(300);
    for (RawConnection& connection : many) connection.Send(kPreface + EmptySettings());
    EXPECT_TRUE(Eventually([&] { return CountClosed(&many) == 300 - 49; })) << CountClosed(&many);
    EXPECT_EQ(RunSteps(stub_.get(), "run", 11, 30), 20) << "who is here stays";
    EXPECT_FALSE(ANewcomerIsServed());
    EXPECT_THAT(process_->Log(), HasSubstr("refused a connection of 127.0.0.1: 50 are open"));
  }
  EXPECT_TRUE(Eventually([&] { return ANewcomerIsServed(); })) << "the intruder is gone";
  EXPECT_EQ(RunSteps(stub_.get(), "run", 31, 40), 10);
}

TEST_F(IntruderTest, WithFewFileDescriptorsItStaysReachable) {
  Start({}, /*max_open_files=*/256);
  {
    std::vector<RawConnection> many = Connect(600);
    EXPECT_EQ(RunSteps(stub_.get(), "run", 11, 40), 30);
    EXPECT_TRUE(Eventually([&] { return CountClosed(&many) >= 600 - 128; })) << CountClosed(&many);
  }
  EXPECT_TRUE(Eventually([&] { return ANewcomerIsServed(); }));
}

TEST_F(IntruderTest, APushLargerThanItsJobIsRefusedBeforeItIsUnpacked) {
  Start();
  v1::PushRequest push = PushOf(SmallJob("run", 1), 0, 7, 11, v1::JoinResponse());
  for (int i = 0; i < 900'000; ++i) push.mutable_routed()->add_low(1);
  const absl::Status status = Push(stub_.get(), push).status();
  EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::SHAPE_MISMATCH) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("one of job \"run\" has at most"));
  for (int i = 0; i < 900'000; ++i) push.mutable_routed()->add_low(1);
  EXPECT_EQ(Push(stub_.get(), push).status().code(), absl::StatusCode::kResourceExhausted)
      << "larger than any message may be";
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(Push(stub_.get(), push).ok());
  EXPECT_EQ(RunSteps(stub_.get(), "run", 11, 30), 20);
  ExpectGrowthBelow(int64_t{128} << 20, "oversized pushes");
}

TEST_F(IntruderTest, MessagesThatNeverEndAreEndedWhenTheyFillTheBuffers) {
  const std::string config = NewFolder("config") + "/evenkeeld.yaml";
  ReplaceFile(config, "limits: {max_buffer_bytes: 33554432}\n");
  Start({"--config=" + config});
  {
    HalfSentPushes pushes(process_->address(), /*calls=*/100, /*bytes=*/4'000'000);
    EXPECT_TRUE(Eventually([&] {
      for (int i = 0; i < 100 && pushes.Go(); ++i) {
      }
      return pushes.refused() >= 50;
    })) << pushes.refused();
    std::printf("of 100 endless messages %d were ended after %ld KiB\n", pushes.refused(),
                static_cast<long>(pushes.sent() >> 10));
    EXPECT_GT(pushes.sent(), 32 << 20);
    ExpectGrowthBelow(int64_t{128} << 20, "endless messages");
  }
  EXPECT_TRUE(Eventually([&] { return ANewcomerIsServed(); }));
  EXPECT_EQ(RunSteps(process_->NewStub().get(), "run", 11, 30), 20);
}

TEST_F(IntruderTest, WhoPingsWithoutEndIsCutOff) {
  Start();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 200);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  const auto channel = grpc::CreateCustomChannel(process_->address(), grpc::InsecureChannelCredentials(), arguments);
  ASSERT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(30)));
  EXPECT_TRUE(
      channel->WaitForStateChange(GRPC_CHANNEL_READY, std::chrono::system_clock::now() + std::chrono::seconds(30)));
}

TEST_F(IntruderTest, ReflectionAndChannelzAreOnAnAddressOfTheirOwn) {
  Start({"--admin_listen=127.0.0.1:0"});
  const auto serves = [](const std::string& address, const std::string& method) {
    const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    grpc::CompletionQueue queue;
    const grpc::Slice empty;
    const grpc::ByteBuffer bytes(&empty, 1);
    auto call = stub.PrepareUnaryCall(&context, method, bytes, &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, &queue);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status.error_code() != grpc::StatusCode::UNIMPLEMENTED;
  };
  for (const char* method :
       {"/grpc.channelz.v1.Channelz/GetServers", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    EXPECT_TRUE(serves(process_->admin_address(), method)) << method;
    EXPECT_FALSE(serves(process_->address(), method)) << method;
  }
  EXPECT_FALSE(serves(process_->admin_address(), "/evenkeel.v1.BiasCoordinator/ListJobs"));
  EXPECT_EQ(CheckHealth(process_->admin_address(), "evenkeel.v1.BiasCoordinator"), "SERVING");
}

}  // namespace
}  // namespace evenkeel::tests
