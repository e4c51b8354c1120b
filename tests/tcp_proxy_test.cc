#include "tests/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iostream>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "gtest/gtest.h"

namespace evenkeel::tests {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

sockaddr_in Loopback(int port) {
  sockaddr_in place = {};
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<uint16_t>(port));
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return place;
}

// One end of a connection. What should come and does not is a failure after half a minute.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) { EVENKEEL_CHECK(fd >= 0); }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() { Close(); }

  static Socket To(const std::string& address) {
    const std::vector<std::string> parts = absl::StrSplit(address, ':');
    const sockaddr_in place = Loopback(std::stoi(parts[1]));
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EVENKEEL_CHECK(connect(socket.fd_, reinterpret_cast<const sockaddr*>(&place), sizeof(place)) == 0);
    return socket;
  }

  void Send(const std::string& bytes) {
    EVENKEEL_CHECK(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  void EndOutput() { shutdown(fd_, SHUT_WR); }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

  std::string Receive(size_t size) {
    std::string bytes;
    char buffer[4096];
    while (bytes.size() < size && Await()) {
      const ssize_t more = recv(fd_, buffer, std::min(sizeof(buffer), size - bytes.size()), 0);
      if (more <= 0) break;
      bytes.append(buffer, more);
    }
    return bytes;
  }

  // "end", "reset", or what came instead.
  std::string Hear() {
    if (!Await()) return "nothing";
    char byte = 0;
    const ssize_t size = recv(fd_, &byte, 1, 0);
    return size == 0 ? "end" : size < 0 ? "reset" : std::string(1, byte);
  }

  bool HasNothing() const {
    char byte = 0;
    return recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

 private:
  bool Await() const {
    pollfd polled = {fd_, POLLIN, 0};
    return poll(&polled, 1, 30'000) == 1;
  }

  int fd_;
};

class Listening {
 public:
  Listening() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in place = Loopback(0);
    socklen_t size = sizeof(place);
    EVENKEEL_CHECK(bind(fd_, reinterpret_cast<const sockaddr*>(&place), size) == 0 && listen(fd_, 16) == 0);
    EVENKEEL_CHECK(getsockname(fd_, reinterpret_cast<sockaddr*>(&place), &size) == 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(place.sin_port));
  }
  ~Listening() { close(fd_); }

  const std::string& address() const { return address_; }
  Socket Accept() const { return Socket(accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  const int fd_;
  std::string address_;
};

class TcpProxyTest : public ::testing::Test {
 protected:
  // What has been sent before has then been looked at.
  void LetPass() {
    for (int time = 0; time < 3; ++time) proxy_.tally();
  }

  static void ExpectPasses(Socket* from, Socket* to) {
    from->Send("hello");
    EXPECT_EQ(to->Receive(5), "hello");
  }

  const Listening listening_;
  TcpProxy proxy_{listening_.address()};
};

TEST_F(TcpProxyTest, HandsOnBytesAndEnds) {
  Socket client = Socket::To(proxy_.address());
  Socket server = listening_.Accept();
  ExpectPasses(&client, &server);
  ExpectPasses(&server, &client);
  client.EndOutput();
  EXPECT_EQ(server.Hear(), "end");
  ExpectPasses(&server, &client);
  server.Close();
  EXPECT_EQ(client.Hear(), "end");
  LetPass();
  const TcpProxy::Tally tally = proxy_.tally();
  EXPECT_EQ(tally.accepted, 1);
  EXPECT_EQ(tally.open, 0);
  EXPECT_EQ(tally.ended_by_client, 1);
  EXPECT_EQ(tally.ended_by_server, 1);
  EXPECT_EQ(tally.bytes[TcpProxy::kToServer], 5);
  EXPECT_EQ(tally.bytes[TcpProxy::kToClient], 10);
}

TEST_F(TcpProxyTest, CutsAllConnectionsOneWayOrTheOther) {
  for (const auto& [end, heard] : {std::pair(TcpProxy::End::kFin, "end"), std::pair(TcpProxy::End::kReset, "reset")}) {
    Socket first = Socket::To(proxy_.address());
    Socket first_server = listening_.Accept();
    Socket second = Socket::To(proxy_.address());
    Socket second_server = listening_.Accept();
    EXPECT_EQ(proxy_.Cut(end), 2);
    for (Socket* socket : {&first, &first_server, &second, &second_server}) EXPECT_EQ(socket->Hear(), heard);
    EXPECT_EQ(proxy_.Cut(end), 0);
  }
}

TEST_F(TcpProxyTest, CutsBehindAByte) {
  Socket client = Socket::To(proxy_.address());
  Socket server = listening_.Accept();
  ExpectPasses(&client, &server);
  proxy_.CutAfter(TcpProxy::kToServer, 7, TcpProxy::End::kFin);
  ExpectPasses(&server, &client);
  client.Send("0123");
  EXPECT_EQ(server.Receive(4), "0123");
  client.Send("456789");
  EXPECT_EQ(server.Receive(100), "456");
  EXPECT_EQ(client.Hear(), "end");
  EXPECT_EQ(proxy_.tally().cut_within, 1);
  Socket next = Socket::To(proxy_.address());
  Socket next_server = listening_.Accept();
  next.Send("0123456789");
  EXPECT_EQ(next_server.Receive(10), "0123456789");
}

TEST_F(TcpProxyTest, CutsForOneEndOnly) {
  {
    Socket client = Socket::To(proxy_.address());
    Socket server = listening_.Accept();
    EXPECT_EQ(proxy_.Cut(TcpProxy::End::kReset, TcpProxy::Told::kOnlyClient), 1);
    EXPECT_EQ(client.Hear(), "reset");
    server.Send("hello");
    LetPass();
    EXPECT_TRUE(server.HasNothing());
    EXPECT_EQ(proxy_.tally().ended_by_server, 0);
  }
  Socket client = Socket::To(proxy_.address());
  Socket server = listening_.Accept();
  EXPECT_EQ(proxy_.Cut(TcpProxy::End::kFin, TcpProxy::Told::kOnlyServer), 1);
  EXPECT_EQ(server.Hear(), "end");
  LetPass();
  EXPECT_TRUE(client.HasNothing());
  EXPECT_EQ(proxy_.Cut(TcpProxy::End::kReset), 0);
  EXPECT_EQ(client.Hear(), "reset");
}

TEST_F(TcpProxyTest, BlocksOneDirectionAndLosesNothing) {
  Socket client = Socket::To(proxy_.address());
  Socket server = listening_.Accept();
  proxy_.Block(TcpProxy::kToServer);
  client.Send("first ");
  LetPass();
  EXPECT_TRUE(server.HasNothing());
  ExpectPasses(&server, &client);
  client.Send("second");
  client.Close();
  LetPass();
  EXPECT_TRUE(server.HasNothing());
  EXPECT_EQ(proxy_.tally().ended_by_client, 1);
  proxy_.Heal();
  EXPECT_EQ(server.Receive(100), "first second");
  EXPECT_EQ(proxy_.tally().ended_by_client, 1);
}

TEST_F(TcpProxyTest, ForsakesConnectionsThatAreThere) {
  Socket client = Socket::To(proxy_.address());
  Socket server = listening_.Accept();
  EXPECT_EQ(proxy_.Forsake(), 1);
  EXPECT_EQ(proxy_.tally().open, 0);
  client.Send("hello");
  server.Send("hello");
  proxy_.Heal();
  LetPass();
  EXPECT_TRUE(server.HasNothing());
  EXPECT_TRUE(client.HasNothing());
  Socket next = Socket::To(proxy_.address());
  Socket next_server = listening_.Accept();
  ExpectPasses(&next, &next_server);
  server.Close();
  LetPass();
  EXPECT_EQ(proxy_.tally().ended_by_server, 1);
  EXPECT_TRUE(client.HasNothing());
}

TEST_F(TcpProxyTest, GoesToAnotherServerOrNone) {
  const Listening other;
  proxy_.SetTarget(other.address());
  Socket client = Socket::To(proxy_.address());
  Socket server = other.Accept();
  ExpectPasses(&client, &server);
  proxy_.SetTarget("");
  Socket refused = Socket::To(proxy_.address());
  EXPECT_EQ(refused.Hear(), "reset");
  ExpectPasses(&client, &server);
  {
    const Listening gone;
    proxy_.SetTarget(gone.address());
  }
  Socket nowhere = Socket::To(proxy_.address());
  EXPECT_EQ(nowhere.Hear(), "reset");
}

// Times are bounds from below alone: a machine may be as slow as it likes.
TEST_F(TcpProxyTest, DelaysAndThrottlesInOrder) {
  Socket client = Socket::To(proxy_.address());
  Socket server = listening_.Accept();
  const Clock::time_point start = Clock::now();
  proxy_.Delay(TcpProxy::kToServer, milliseconds(60));
  client.Send("first ");
  proxy_.Delay(TcpProxy::kToServer, milliseconds(0));
  client.Send("second");
  EXPECT_EQ(server.Receive(12), "first second");
  EXPECT_GE(Clock::now() - start, milliseconds(60));

  const Clock::time_point throttled = Clock::now();
  proxy_.Throttle(TcpProxy::kToClient, 10'000);
  server.Send(std::string(1000, 'x'));
  EXPECT_EQ(client.Receive(1000), std::string(1000, 'x'));
  EXPECT_GE(Clock::now() - throttled, milliseconds(89));  // all but the last hundredth of a second's worth
}

TEST_F(TcpProxyTest, WhateverIsNotCutArrivesUnchanged) {
  constexpr uint64_t kSeed = 5;
  std::cout << "seed " << kSeed << "\n";
  std::mt19937_64 random(kSeed);
  Socket client = Socket::To(proxy_.address());
  Socket server = listening_.Accept();
  std::string sent;
  std::thread writer([&, random]() mutable {
    for (int part = 0; part < 2000; ++part) {
      const std::string bytes(random() % 3000, static_cast<char>('a' + random() % 26));
      client.Send(bytes);
      sent += bytes;
    }
    client.EndOutput();
  });
  std::string received;
  for (std::string bytes = "-"; !bytes.empty(); received += bytes) {
    proxy_.Delay(TcpProxy::kToServer, milliseconds(random() % 3));
    proxy_.Throttle(TcpProxy::kToServer, random() % 2 == 0 ? 0 : 50'000'000);
    if (random() % 4 == 0) proxy_.Block(TcpProxy::kToServer);
    proxy_.tally();
    if (random() % 4 == 0) proxy_.Heal();
    proxy_.Heal();
    bytes = server.Receive(1 + random() % 100'000);
  }
  writer.join();
  EXPECT_EQ(received.size(), sent.size());
  EXPECT_TRUE(received == sent);
}

}  // namespace
}  // namespace evenkeel::tests
