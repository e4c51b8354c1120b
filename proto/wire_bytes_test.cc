// The hot messages, byte for byte: what a released client sends must never change its meaning.

#include <string>

#include "absl/strings/escaping.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "gtest/gtest.h"

namespace evenkeel::v1 {
namespace {

PushRequest ExamplePush() {
  PushRequest push;
  push.set_job("run-7");
  push.set_contributor(2);
  push.set_incarnation(0x1122334455667788);
  push.set_epoch(3);
  push.set_step(81);
  push.set_ok(true);
  push.mutable_routed_with()->set_epoch(2);
  push.mutable_routed_with()->set_step(80);
  push.add_valid_tokens(2048);
  push.add_valid_tokens(300);
  push.add_short_slots(0);
  push.add_short_slots(1);
  for (const uint32_t low : {4000u, 96u, 4294967295u, 604u}) push.mutable_routed()->add_low(low);
  for (const uint32_t high : {0u, 0u, 1u, 0u}) push.mutable_routed()->add_high(high);
  return push;
}

// Field by field, as another implementation of the wire format (protoc --encode) wrote it.
const char kPushBytes[] =
    "0a0572756e2d37"                         // 1 job
    "1002"                                   // 2 contributor
    "198877665544332211"                     // 3 incarnation, 8 bytes little-endian
    "2003"                                   // 4 epoch
    "2851"                                   // 5 step
    "3001"                                   // 6 ok
    "3a0408021050"                           // 7 routed_with
    "42048010ac02"                           // 8 valid_tokens, packed varints
    "4a020001"                               // 9 short_slots
    "5224"                                   // 10 routed
    "0a10a00f000060000000ffffffff5c020000"   //   1 low, packed 4-byte words
    "121000000000000000000100000000000000";  //   2 high

CommittedVersion ExampleReply() {
  CommittedVersion reply;
  reply.mutable_version()->set_epoch(3);
  reply.mutable_version()->set_step(81);
  reply.set_valid_from(82);
  reply.set_ok(true);
  reply.add_bias(0.5f);
  reply.add_bias(-0.25f);
  reply.add_layer_hashes(0x0102030405060708);
  reply.set_state_hash(0xfffefdfcfbfaf9f8);
  reply.add_participants(0);
  reply.add_participants(2);
  reply.add_reasons(UpdateReason::MOVED);
  reply.add_max_violation(1.5f);
  reply.set_durable_step(81);
  reply.set_tokens(2048);
  return reply;
}

const char kReplyBytes[] =
    "0a0408031051"          // 1 version
    "1052"                  // 2 valid_from
    "1801"                  // 3 ok
    "22080000003f000080be"  // 4 bias, packed float32 little-endian
    "2a080807060504030201"  // 5 layer_hashes
    "31f8f9fafbfcfdfeff"    // 6 state_hash
    "3a020002"              // 7 participants
    "420101"                // 8 reasons
    "4a040000c03f"          // 9 max_violation
    "5051"                  // 10 durable_step
    "588010";               // 11 tokens

TEST(WireBytesTest, PushRequest) {
  EXPECT_EQ(absl::BytesToHexString(ExamplePush().SerializeAsString()), kPushBytes);
  PushRequest parsed;
  ASSERT_TRUE(parsed.ParseFromString(absl::HexStringToBytes(kPushBytes)));
  EXPECT_EQ(parsed.SerializeAsString(), ExamplePush().SerializeAsString());
}

TEST(WireBytesTest, CommittedVersion) {
  EXPECT_EQ(absl::BytesToHexString(ExampleReply().SerializeAsString()), kReplyBytes);
  CommittedVersion parsed;
  ASSERT_TRUE(parsed.ParseFromString(absl::HexStringToBytes(kReplyBytes)));
  EXPECT_EQ(parsed.SerializeAsString(), ExampleReply().SerializeAsString());
}

// A count of 2^32 or more takes a high word; its low word alone must not be taken for the count.
TEST(WireBytesTest, CountsHaveTwoHalves) {
  const Counts counts = ExamplePush().routed();
  EXPECT_EQ(counts.low(2) | uint64_t{counts.high(2)} << 32, 8589934591u);
}

}  // namespace
}  // namespace evenkeel::v1
