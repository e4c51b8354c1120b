#include "client/reduce/local_address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Found(const std::string& interface, const std::string& toward) {
  const absl::StatusOr<std::string> address = LocalAddress(interface, toward);
  EXPECT_TRUE(address.ok()) << address.status();
  return address.value_or("");
}

TEST(LocalAddressTest, LoopbackTowardLoopback) {
  EXPECT_EQ(Found("", "127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(Found("", "localhost").substr(0, 4), "127.");
}

TEST(LocalAddressTest, AnInterfaceAHostOrAnAddress) {
  EXPECT_EQ(Found("lo", ""), "127.0.0.1");
  EXPECT_EQ(Found("lo", "192.0.2.1"), "127.0.0.1");
  EXPECT_EQ(Found("127.0.0.5", ""), "127.0.0.5");
  EXPECT_THAT(Found("localhost", ""), StartsWith("127."));
}

TEST(LocalAddressTest, WithoutAHintItIsTheHostNames) {
  // Whatever it is here: an address, and this machine's.
  const std::string address = Found("", "");
  EXPECT_EQ(Found(address, ""), address);
}

TEST(LocalAddressTest, WhatIsNotThisMachinesIsRefused) {
  for (const char* interface : {"192.0.2.1", "no-such-interface.invalid"}) {
    const absl::Status status = LocalAddress(interface, "").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(interface));
  }
}

TEST(LocalAddressTest, AHostWithoutAnAddressIsNamed) {
  const absl::Status status = LocalAddress("", "no-such-host.invalid").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-host.invalid"));
}

}  // namespace
}  // namespace evenkeel::client
