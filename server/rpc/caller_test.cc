#include "server/rpc/caller.h"

#include "gtest/gtest.h"

namespace evenkeel::rpc {
namespace {

TEST(CallerTest, PeersOnThisMachine) {
  for (const char* peer : {"ipv4:127.0.0.1:7411", "ipv4:127.8.8.8:1", "ipv6:[::1]:7411", "ipv6:%5B::1%5D:7411",
                           "ipv6:%5B::ffff:127.0.0.1%5D:7411", "unix:/run/evenkeel"}) {
    EXPECT_TRUE(IsLocalPeer(peer)) << peer;
  }
  for (const char* peer : {"ipv4:10.0.0.1:7411", "ipv4:128.0.0.1:7411", "ipv4:12.7.0.1:1", "ipv6:%5B::11%5D:7411",
                           "ipv6:%5Bfe80::1%5D:1", "ipv6:%5B::ffff:10.0.0.1%5D:7411", "", "dns:127.0.0.1"}) {
    EXPECT_FALSE(IsLocalPeer(peer)) << peer;
  }
}

}  // namespace
}  // namespace evenkeel::rpc
