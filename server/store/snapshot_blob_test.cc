#include "server/store/snapshot_blob.h"

#include <limits>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/test_records.h"
#include "xxhash.h"

namespace evenkeel::store {
namespace {

using ::testing::HasSubstr;

TEST(SnapshotBlobTest, GivesBackTheStateThatItWasMadeOf) {
  v1::JobState state = TestState("job", 7);
  state.set_fingerprint(std::numeric_limits<uint64_t>::max());
  state.mutable_layers(0)->set_bias(0, -0.0f);
  state.mutable_layers(0)->set_bias(1, std::numeric_limits<float>::denorm_min());
  const absl::StatusOr<v1::JobState> decoded = DecodeSnapshot(EncodeSnapshot(state));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->SerializeAsString(), state.SerializeAsString());
}

TEST(SnapshotBlobTest, CarriesTheXxh3OfTheState) {
  const v1::Snapshot snapshot = MakeSnapshot(TestState("job", 7));
  EXPECT_EQ(snapshot.format_version(), 1);
  EXPECT_EQ(snapshot.checksum(), XXH3_64bits(snapshot.state().data(), snapshot.state().size()));
}

TEST(SnapshotBlobTest, NoByteCanChangeUnnoticed) {
  const std::string blob = EncodeSnapshot(TestState("job", 7));
  std::mt19937 random(20240814);
  for (size_t position = 0; position < blob.size(); ++position) {
    std::string damaged = blob;
    damaged[position] ^= static_cast<char>(1 + random() % 255);
    EXPECT_FALSE(DecodeSnapshot(damaged).ok()) << "byte " << position << " of " << blob.size();
  }
}

TEST(SnapshotBlobTest, NoByteCanBeMissing) {
  const std::string blob = EncodeSnapshot(TestState("job", 7));
  for (size_t size = 0; size < blob.size(); ++size) {
    EXPECT_FALSE(DecodeSnapshot(blob.substr(0, size)).ok()) << size << " of " << blob.size() << " bytes";
  }
}

TEST(SnapshotBlobTest, ADamagedStateIsDataLoss) {
  v1::Snapshot snapshot = MakeSnapshot(TestState("job", 7));
  snapshot.mutable_state()->back() ^= 1;
  const absl::Status status = OpenSnapshot(snapshot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("snapshot.checksum is"));
}

TEST(SnapshotBlobTest, AnotherFormatIsToldFromDamage) {
  v1::Snapshot snapshot = MakeSnapshot(TestState("job", 7));
  snapshot.set_format_version(2);
  const absl::Status status = OpenSnapshot(snapshot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("format_version is 2; this program reads 1"));
}

TEST(SnapshotBlobTest, AStateOfAnotherShapeIsDataLossInSpiteOfItsChecksum) {
  v1::JobState state = TestState("job", 7);
  state.mutable_layers(1)->mutable_bias()->RemoveLast();
  const absl::Status status = OpenSnapshot(MakeSnapshot(state)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layers[1].bias has 7 entries for 8 experts"));
}

TEST(SnapshotBlobTest, BytesThatAreNoStateAreDataLossInSpiteOfTheirChecksum) {
  v1::Snapshot snapshot;
  snapshot.set_format_version(kSnapshotFormat);
  snapshot.set_state("\xff\xff\xff");
  snapshot.set_checksum(XXH3_64bits(snapshot.state().data(), snapshot.state().size()));
  const absl::Status status = OpenSnapshot(snapshot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is no JobState"));
}

}  // namespace
}  // namespace evenkeel::store
