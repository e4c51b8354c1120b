#include "client/reduce/file_record.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

FileRecord Example() {
  FileRecord record;
  record.token = 0x8877665544332211;
  record.seen = {0x8877665544332211, 0, 7};
  record.value = std::string("va\0lue", 6);
  return record;
}

TEST(FileRecordTest, IsWhatTheHeaderSays) {
  EXPECT_EQ(Serialize(Example()), std::string("EKR1"
                                              "\x03\0\0\0"
                                              "\x11\x22\x33\x44\x55\x66\x77\x88"
                                              "\x11\x22\x33\x44\x55\x66\x77\x88"
                                              "\0\0\0\0\0\0\0\0"
                                              "\x07\0\0\0\0\0\0\0"
                                              "va\0lue",
                                              4 + 4 + 8 + 24 + 6));
}

TEST(FileRecordTest, ComesBackAsItWas) {
  const absl::StatusOr<FileRecord> record = ParseFileRecord(Serialize(Example()));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->token, 0x8877665544332211);
  EXPECT_THAT(record->seen, ElementsAre(0x8877665544332211, 0, 7));
  EXPECT_EQ(record->value, Example().value);
  const absl::StatusOr<FileRecord> empty = ParseFileRecord(Serialize(FileRecord()));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_THAT(empty->seen, IsEmpty());
  EXPECT_THAT(empty->value, IsEmpty());
}

TEST(FileRecordTest, AnythingElseIsRefused) {
  const std::string bytes = Serialize(Example());
  const size_t head = bytes.size() - Example().value.size();
  for (size_t length = 0; length < head; ++length) {
    EXPECT_EQ(ParseFileRecord(bytes.substr(0, length)).status().code(), absl::StatusCode::kDataLoss) << length;
  }
  EXPECT_TRUE(ParseFileRecord(bytes.substr(0, head)).ok());
  EXPECT_FALSE(ParseFileRecord("EKR2" + bytes.substr(4)).ok());
  EXPECT_FALSE(ParseFileRecord("EKR1\xff\xff\xff\xff" + bytes.substr(8)).ok());
}

}  // namespace
}  // namespace evenkeel::client
