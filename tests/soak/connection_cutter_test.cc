#include "tests/soak/connection_cutter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::soak {
namespace {

// A listener on a port of its own, and connections to it.
class ConnectionCutterTest : public testing::Test {
 protected:
  struct Connection {
    int client;
    int server;
  };

  ConnectionCutterTest() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address_), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
  }
  ~ConnectionCutterTest() override {
    for (const auto& [client, server] : connections_) {
      close(client);
      close(server);
    }
    close(listener_);
  }

  int port() const { return ntohs(address_.sin_port); }

  Connection Connect() {
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address_), sizeof(address_)), 0);
    connections_.push_back({client, accept(listener_, nullptr, nullptr)});
    return connections_.back();
  }

  // Whether the other end has ended it; nothing was sent.
  static bool IsCut(int socket) {
    char byte;
    return recv(socket, &byte, 1, MSG_DONTWAIT) == 0;
  }

 private:
  const int listener_;
  sockaddr_in address_ = {};
  std::vector<Connection> connections_;
};

TEST_F(ConnectionCutterTest, CutsTheConnectionsToThatPortAndNoOthers) {
  const Connection one = Connect();
  const Connection two = Connect();
  EXPECT_EQ(CutConnectionsTo(port() == 65535 ? 1 : port() + 1), 0);
  EXPECT_FALSE(IsCut(one.server));
  EXPECT_EQ(CutConnectionsTo(port()), 2);
  for (const int end : {one.client, one.server, two.client, two.server}) EXPECT_TRUE(IsCut(end));
}

TEST_F(ConnectionCutterTest, EverySecond) {
  for (int i = 0; i < 5; ++i) Connect();
  EXPECT_EQ(CutConnectionsTo(port(), /*one_in=*/2), 3);
}

}  // namespace
}  // namespace evenkeel::soak
