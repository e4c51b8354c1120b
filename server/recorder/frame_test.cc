#include "server/recorder/frame.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace evenkeel::recorder {
namespace {

// Event `number` of a file.
v1::RecordedEvent Event(uint64_t number) {
  v1::RecordedEvent event;
  event.set_number(number);
  if (number == 0) {
    event.mutable_state()->mutable_state()->mutable_version()->set_epoch(1);
  } else {
    event.mutable_commit()->mutable_version()->set_step(number);
    for (uint64_t i = 0; i < 20; ++i) event.mutable_commit()->add_counts(number * 1000 + i);
  }
  return event;
}

std::string File(uint64_t events) {
  std::string bytes = FileHeader();
  for (uint64_t i = 0; i < events; ++i) bytes += Frame(Event(i));
  return bytes;
}

struct Contents {
  std::vector<std::string> events;
  absl::Status status;
  size_t torn_bytes = 0;
};

Contents Read(const std::string& bytes) {
  Contents contents;
  absl::StatusOr<FrameReader> reader = FrameReader::Open(bytes);
  contents.status = reader.status();
  while (contents.status.ok()) {
    const absl::StatusOr<std::optional<v1::RecordedEvent>> event = reader->Next();
    contents.status = event.status();
    if (!event.ok() || !event->has_value()) break;
    contents.events.push_back((*event)->SerializeAsString());
  }
  if (reader.ok()) contents.torn_bytes = reader->torn_bytes();
  return contents;
}

TEST(FrameTest, EventsComeBack) {
  const Contents contents = Read(File(4));
  EXPECT_TRUE(contents.status.ok()) << contents.status;
  EXPECT_EQ(contents.torn_bytes, 0u);
  ASSERT_EQ(contents.events.size(), 4u);
  for (uint64_t i = 0; i < 4; ++i) EXPECT_EQ(contents.events[i], Event(i).SerializeAsString());
}

TEST(FrameTest, TheBytesAreThoseOfTheFormat) {
  EXPECT_EQ(FileHeader(), std::string("EVKLREC\n\1\0\0\0", 12));
  const std::string frame = Frame(Event(1));
  EXPECT_EQ(static_cast<uint8_t>(frame[0]), frame.size() - 12);
  EXPECT_EQ(frame.substr(1, 3), std::string(3, '\0'));
  EXPECT_EQ(frame.substr(12), Event(1).SerializeAsString());
}

TEST(FrameTest, WhereverAFileEndsTheWholeEventsAreThereAndTheRestIsTold) {
  const std::string bytes = File(3);
  std::vector<size_t> ends = {FileHeader().size()};
  for (uint64_t i = 0; i < 3; ++i) ends.push_back(ends.back() + Frame(Event(i)).size());
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const Contents contents = Read(bytes.substr(0, size));
    ASSERT_TRUE(contents.status.ok()) << size << ": " << contents.status;
    size_t whole = 0;
    while (whole < 3 && ends[whole + 1] <= size) ++whole;
    ASSERT_EQ(contents.events.size(), whole) << size;
    ASSERT_EQ(contents.torn_bytes, size < ends[0] ? size : size - ends[whole]) << size;
  }
}

TEST(FrameTest, ZerosAtTheEndAreTorn) {
  const Contents contents = Read(File(2) + std::string(100, '\0'));
  EXPECT_TRUE(contents.status.ok());
  EXPECT_EQ(contents.events.size(), 2u);
  EXPECT_EQ(contents.torn_bytes, 100u);
}

TEST(FrameTest, EveryFlippedByteIsTold) {
  const std::string bytes = File(3);
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ mask);
      const Contents contents = Read(flipped);
      ASSERT_TRUE(!contents.status.ok() || contents.torn_bytes > 0) << "byte " << i << ", mask " << mask;
      for (size_t event = 0; event < contents.events.size(); ++event) {
        ASSERT_EQ(contents.events[event], Event(event).SerializeAsString()) << "byte " << i;
      }
    }
  }
}

TEST(FrameTest, DamageIsNamed) {
  std::string bytes = File(2);
  bytes.back() ^= 1;
  EXPECT_EQ(Read(bytes).status.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(absl::StrContains(Read(bytes).status.message(), "the frame at byte 32 has the checksum"))
      << Read(bytes).status;
  EXPECT_EQ(Read("{\"preset\": \"evenkeel\"}").status.code(), absl::StatusCode::kDataLoss);
  bytes = File(2);
  bytes[8] = 2;
  EXPECT_EQ(Read(bytes).status.message(), "its format is 2; this program reads 1");
  EXPECT_EQ(Read(bytes).status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST(FrameTest, AnEventThatIsMissingIsTold) {
  EXPECT_TRUE(
      absl::StrContains(Read(FileHeader() + Frame(Event(0)) + Frame(Event(2))).status.message(), "is event 2, not 1"));
  EXPECT_FALSE(Read(FileHeader() + Frame(Event(1))).status.ok());
  v1::RecordedEvent state = Event(0);
  state.set_number(1);
  EXPECT_TRUE(absl::StrContains(Read(FileHeader() + Frame(Event(0)) + Frame(state)).status.message(),
                                "is not what event 1 may be"));
}

}  // namespace
}  // namespace evenkeel::recorder
