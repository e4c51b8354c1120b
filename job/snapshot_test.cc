#include "job/snapshot.h"

#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_state.h"
#include "xxhash.h"

namespace evenkeel::job {
namespace {

using ::testing::HasSubstr;

TEST(SnapshotTest, GivesBackTheStateThatItWasMadeOf) {
  v1::JobState state = TestState("job", 7);
  state.set_fingerprint(std::numeric_limits<uint64_t>::max());
  state.mutable_layers(0)->set_bias(0, -0.0f);
  state.mutable_layers(0)->set_bias(1, std::numeric_limits<float>::denorm_min());
  const absl::StatusOr<SnapshotStates> decoded = DecodeSnapshot(EncodeSnapshot(state));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->state.SerializeAsString(), state.SerializeAsString());
  EXPECT_TRUE(decoded->earlier.empty());
}

TEST(SnapshotTest, GivesBackTheEarlierStates) {
  const std::vector<v1::JobState> earlier = {TestState("job", 4), TestState("job", 6)};
  const std::string blob = EncodeSnapshot(TestState("job", 7), earlier);
  const absl::StatusOr<SnapshotStates> decoded = DecodeSnapshot(blob);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->state.version().step(), 7);
  ASSERT_EQ(decoded->earlier.size(), 2);
  EXPECT_EQ(decoded->earlier[0].SerializeAsString(), earlier[0].SerializeAsString());
  EXPECT_EQ(decoded->earlier[1].SerializeAsString(), earlier[1].SerializeAsString());
  EXPECT_EQ(ParseSnapshot(blob)->SerializeAsString(), blob);
}

TEST(SnapshotTest, EarlierStatesThatDoNotLeadToTheNewestAreDataLoss) {
  const auto message = [](const v1::JobState& state, const std::vector<v1::JobState>& earlier) {
    return std::string(OpenSnapshot(MakeSnapshot(state, earlier)).status().message());
  };
  EXPECT_THAT(message(TestState("job", 7), {TestState("job", 7)}),
              HasSubstr("snapshot.earlier[0] is of step 7, what follows it of step 7"));
  EXPECT_THAT(message(TestState("job", 7), {TestState("job", 6), TestState("job", 5)}),
              HasSubstr("snapshot.earlier[0] is of step 6, what follows it of step 5"));
  EXPECT_THAT(message(TestState("job", 7), {TestState("job", 6, /*layers=*/3)}),
              HasSubstr("snapshot.earlier[0] has other layers"));
}

// Written by the program that wrote format 1, after 21 steps of two workers.
TEST(SnapshotTest, Format1IsRead) {
  std::ifstream file("job/testdata/snapshot_format1.evenkeel", std::ios::binary);
  const std::string blob((std::istreambuf_iterator<char>(file)), {});
  ASSERT_EQ(blob.size(), 671);
  const absl::StatusOr<SnapshotStates> states = DecodeSnapshot(blob);
  ASSERT_TRUE(states.ok()) << states.status();
  EXPECT_EQ(states->state.spec().name(), "finetune");
  EXPECT_EQ(states->state.version().step(), 21);
  EXPECT_EQ(states->state.position(), 21);
  ASSERT_EQ(states->state.layers_size(), 3);
  EXPECT_EQ(states->state.layers(2).layer(), "layers.2.gate");
  EXPECT_NE(states->state.layers(2).bias(0), 0);
  EXPECT_TRUE(states->earlier.empty());
  const absl::StatusOr<SnapshotStates> again = DecodeSnapshot(EncodeSnapshot(states->state));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->state.SerializeAsString(), states->state.SerializeAsString()) << "as format 2";
}

TEST(SnapshotTest, CarriesTheXxh3OfTheState) {
  const v1::Snapshot snapshot = MakeSnapshot(TestState("job", 7));
  EXPECT_EQ(snapshot.format_version(), 2);
  EXPECT_EQ(snapshot.checksum(), XXH3_64bits(snapshot.state().data(), snapshot.state().size()));
  const v1::Snapshot both = MakeSnapshot(TestState("job", 7), {TestState("job", 6)});
  const std::string bytes = both.state() + both.earlier(0);
  EXPECT_EQ(both.checksum(), XXH3_64bits(bytes.data(), bytes.size()));
}

// But for the number of the format: 2 says no more than 1 where there is one state.
TEST(SnapshotTest, NoByteCanChangeUnnoticed) {
  const std::string blob = EncodeSnapshot(TestState("job", 7), {TestState("job", 6)});
  std::mt19937 random(20240814);
  for (size_t position = 2; position < blob.size(); ++position) {
    std::string damaged = blob;
    damaged[position] ^= static_cast<char>(1 + random() % 255);
    EXPECT_FALSE(DecodeSnapshot(damaged).ok()) << "byte " << position << " of " << blob.size();
  }
}

TEST(SnapshotTest, NoByteCanBeMissing) {
  const std::string blob = EncodeSnapshot(TestState("job", 7));
  for (size_t size = 0; size < blob.size(); ++size) {
    EXPECT_FALSE(DecodeSnapshot(blob.substr(0, size)).ok()) << size << " of " << blob.size() << " bytes";
  }
}

TEST(SnapshotTest, ADamagedStateIsDataLoss) {
  v1::Snapshot snapshot = MakeSnapshot(TestState("job", 7));
  snapshot.mutable_state()->back() ^= 1;
  const absl::Status status = OpenSnapshot(snapshot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("snapshot.checksum is"));
}

TEST(SnapshotTest, AnotherFormatIsToldFromDamage) {
  v1::Snapshot snapshot = MakeSnapshot(TestState("job", 7));
  snapshot.set_format_version(3);
  const absl::Status status = OpenSnapshot(snapshot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("format_version is 3; this program reads 1 to 2"));
}

TEST(SnapshotTest, AStateOfAnotherShapeIsDataLossInSpiteOfItsChecksum) {
  v1::JobState state = TestState("job", 7);
  state.mutable_layers(1)->mutable_bias()->RemoveLast();
  const absl::Status status = OpenSnapshot(MakeSnapshot(state)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layers[1].bias has 7 entries for 8 experts"));
}

TEST(SnapshotTest, BytesThatAreNoStateAreDataLossInSpiteOfTheirChecksum) {
  v1::Snapshot snapshot;
  snapshot.set_format_version(kSnapshotFormat);
  snapshot.set_state("\xff\xff\xff");
  snapshot.set_checksum(XXH3_64bits(snapshot.state().data(), snapshot.state().size()));
  const absl::Status status = OpenSnapshot(snapshot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is no JobState"));
}

}  // namespace
}  // namespace evenkeel::job
