#include "server/rpc/connection_table.h"

#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace evenkeel::rpc {
namespace {

uint64_t AllOpen(int fd) { return 1000 + fd; }
uint64_t AllClosed(int) { return 0; }

TEST(ConnectionTableTest, OnePeerTakesHalf) {
  ConnectionTable table(4);
  for (int fd = 0; fd < 2; ++fd) {
    ASSERT_TRUE(table.HasRoom("a", AllOpen));
    table.Add(fd, AllOpen(fd), "a");
  }
  EXPECT_FALSE(table.HasRoom("a", AllOpen));
  for (int fd = 2; fd < 4; ++fd) {
    ASSERT_TRUE(table.HasRoom("b", AllOpen));
    table.Add(fd, AllOpen(fd), "b");
  }
  EXPECT_FALSE(table.HasRoom("c", AllOpen));
  EXPECT_TRUE(table.HasRoom("a", AllClosed));
  EXPECT_EQ(table.size(), 0);
}

TEST(ConnectionTableTest, CountsWhatIsOpen) {
  ConnectionTable table(8);
  for (int fd = 0; fd < 3; ++fd) table.Add(fd, AllOpen(fd), "a");
  EXPECT_EQ(table.CountOpen(AllOpen), 3);
  EXPECT_EQ(table.CountOpen([](int fd) { return fd == 1 ? 0 : AllOpen(fd); }), 2);
  EXPECT_EQ(table.size(), 2);
}

TEST(ConnectionTableTest, ALaterSocketOfTheSameNumberIsAnother) {
  ConnectionTable table(2);
  table.Add(7, 1, "a");
  EXPECT_TRUE(table.HasRoom("a", [](int) -> uint64_t { return 2; })) << "7 is another socket by now";
  table.Add(7, 3, "a");
  table.Add(7, 4, "b");
  EXPECT_EQ(table.size(), 1);
}

TEST(ConnectionTableTest, CountsAsASimpleListDoes) {
  std::mt19937 random(20261121);
  constexpr int kMost = 10;
  ConnectionTable table(kMost);
  std::map<int, std::pair<uint64_t, std::string>> open;
  uint64_t next_socket = 1;
  const auto socket_of = [&](int fd) { return open.count(fd) > 0 ? open[fd].first : 0; };
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0 && !open.empty()) {
      open.erase(std::next(open.begin(), random() % open.size()));
      continue;
    }
    const std::string peer = absl::StrCat(random() % 3);
    int of_peer = 0;
    for (const auto& entry : open) of_peer += entry.second.second == peer;
    const bool has_room = open.size() < kMost && of_peer < kMost / 2;
    ASSERT_EQ(table.HasRoom(peer, socket_of), has_room);
    if (!has_room) ++refused;
    if (!has_room) continue;
    int fd = 0;
    while (open.count(fd) > 0) ++fd;  // as the kernel does
    table.Add(fd, next_socket, peer);
    open[fd] = {next_socket++, peer};
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace evenkeel::rpc
