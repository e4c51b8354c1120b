#include "client/capi/versioned_struct.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

// The same struct, as three versions of the header have it.
struct Older {
  size_t struct_size;
  int64_t one;
};
struct Known {
  size_t struct_size;
  int64_t one;
  int64_t two;
};
struct Newer {
  size_t struct_size;
  int64_t one;
  int64_t two;
  int64_t three;
};

constexpr Known kDefaults = {sizeof(Known), 11, 22};

// What the program's struct is to the library.
template <typename Struct>
Known* AsKnown(Struct* given) {
  return reinterpret_cast<Known*>(given);
}

TEST(VersionedStructTest, InitFillsWhatThereIsRoomFor) {
  Older older = {};
  InitStruct(kDefaults, AsKnown(&older), sizeof(older));
  EXPECT_EQ(older.struct_size, sizeof(Older));
  EXPECT_EQ(older.one, 11);

  Newer newer = {7, 7, 7, 7};
  InitStruct(kDefaults, AsKnown(&newer), sizeof(newer));
  EXPECT_EQ(newer.struct_size, sizeof(Newer));
  EXPECT_EQ(newer.one, 11);
  EXPECT_EQ(newer.two, 22);
  EXPECT_EQ(newer.three, 0);

  InitStruct(kDefaults, static_cast<Known*>(nullptr), sizeof(Known));
}

TEST(VersionedStructTest, AnOlderProgramGetsDefaultsForWhatItDoesNotKnow) {
  Older older = {sizeof(Older), 1};
  Known known = {};
  ASSERT_TRUE(ReadStruct("test", kDefaults, AsKnown(&older), &known).ok());
  EXPECT_EQ(known.one, 1);
  EXPECT_EQ(known.two, 22);
}

TEST(VersionedStructTest, ANewerProgramMayNotAskForWhatIsNotThere) {
  Newer newer = {sizeof(Newer), 1, 2, 0};
  Known known = {};
  ASSERT_TRUE(ReadStruct("test", kDefaults, AsKnown(&newer), &known).ok());
  EXPECT_EQ(known.two, 2);
  newer.three = 3;
  const absl::Status refused = ReadStruct("test", kDefaults, AsKnown(&newer), &known);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("32 bytes, 24 known"));
}

TEST(VersionedStructTest, NamesWhatWasNotSetUp) {
  Known known = {};
  const Known empty = {};
  EXPECT_THAT(std::string(ReadStruct("test", kDefaults, &empty, &known).message()), HasSubstr("begin with test_init"));
  const Known* none = nullptr;
  EXPECT_THAT(std::string(ReadStruct("test", kDefaults, none, &known).message()), HasSubstr("test is null"));
}

TEST(VersionedStructTest, WritesWhatThereIsRoomFor) {
  Older older[2] = {{sizeof(Older), 0}, {5, 5}};
  WriteStruct(Known{sizeof(Known), 1, 2}, AsKnown(&older[0]));
  EXPECT_EQ(older[0].struct_size, sizeof(Older));
  EXPECT_EQ(older[0].one, 1);
  EXPECT_EQ(older[1].struct_size, 5) << "behind the end";
}

}  // namespace
}  // namespace evenkeel::client
