#include "tools/npy/npy.h"

#include <sys/stat.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/npy/npy_check.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class NpyTest : public FolderTest {
 protected:
  // float32 (2, 3): 0 to 5.
  std::string WriteSmall(absl::string_view name) const {
    std::vector<float> data(6);
    std::iota(data.begin(), data.end(), 0.0f);
    EXPECT_TRUE(WriteNpy({{Path(name), NpyType::kFloat32, {2, 3}, data.data()}}).ok());
    return Path(name);
  }

  void ExpectRefused(absl::string_view name, absl::string_view message) const {
    const absl::Status status = ReadNpy(Path(name)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat(Path(name), ": ", message)));
  }
};

TEST_F(NpyTest, ReadsBackWhatItWrites) {
  const NpyArray array = ReadNpy(WriteSmall("a.npy")).value();
  EXPECT_EQ(array.type(), NpyType::kFloat32);
  EXPECT_THAT(array.shape(), ElementsAre(2, 3));
  EXPECT_THAT(array.values<float>(), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(ParseNpy(ReadFile("a.npy")).value().values<float>(), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(NpyTest, AnEmptyArrayHasAShape) {
  ASSERT_TRUE(WriteNpy({{Path("a.npy"), NpyType::kInt64, {0, 8}, nullptr}}).ok());
  const NpyArray array = ReadNpy(Path("a.npy")).value();
  EXPECT_THAT(array.shape(), ElementsAre(0, 8));
  EXPECT_THAT(array.values<int64_t>(), IsEmpty());
}

TEST_F(NpyTest, DataThatDoNotFitTheShapeAreRefused) {
  WriteSmall("a.npy");
  const std::string bytes = ReadFile("a.npy");
  WriteFile("short.npy", bytes.substr(0, bytes.size() - 1));
  ExpectRefused("short.npy", "data: 23 bytes are fewer than the 24 of float32 (2, 3)");
  WriteFile("long.npy", bytes + "x");
  ExpectRefused("long.npy", "data: 25 bytes are more than the 24 of float32 (2, 3)");
  WriteFile("empty.npy", "");
  ExpectRefused("empty.npy", "magic: ");
}

TEST_F(NpyTest, EveryTruncationIsRefused) {
  WriteSmall("a.npy");
  const std::string bytes = ReadFile("a.npy");
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ParseNpy(bytes.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

// If the shape were believed, this would ask for 2^62 bytes.
TEST_F(NpyTest, AHugeShapeIsHeldAgainstTheFileFirst) {
  WriteFile("huge.npy", FormatNpyHeader(NpyType::kFloat32, {int64_t{1} << 40, int64_t{1} << 20}));
  ExpectRefused("huge.npy", "data: 0 bytes are fewer than the 4611686018427387904 of float32 (1099511627776, 1048576)");
}

TEST_F(NpyTest, AHeaderLongerThanAllowedIsRefusedInALongFileToo) {
  const std::string dict = "{'descr': '|b1', 'fortran_order': False, 'shape': (), }" + std::string(70000, ' ');
  std::string bytes = absl::StrCat("\x93NUMPY\x02", std::string(1, '\0'));
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(dict.size() >> (8 * i)));
  WriteFile("long_header.npy", absl::StrCat(bytes, dict, "\1"));
  ExpectRefused("long_header.npy", "header length: 70055 is more than");
}

TEST_F(NpyTest, WhatIsNoFileIsRefused) {
  EXPECT_EQ(ReadNpy(Path("missing.npy")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadNpy(Path("missing.npy")).status().message()), HasSubstr(Path("missing.npy")));
  std::filesystem::create_directory(Path("folder"));
  ExpectRefused("folder", "not a regular file");
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  ExpectRefused("pipe", "not a regular file");
}

TEST_F(NpyTest, WritesAllFilesOrNone) {
  WriteFile("a.npy", "old");
  const std::vector<int32_t> data = {1, 2};
  const absl::Status status = WriteNpy(
      {{Path("a.npy"), NpyType::kInt32, {2}, data.data()}, {Path("missing/b.npy"), NpyType::kInt32, {2}, data.data()}});
  EXPECT_THAT(std::string(status.message()), HasSubstr(Path("missing/b.npy")));
  EXPECT_THAT(Names(), ElementsAre("a.npy"));
  EXPECT_EQ(ReadFile("a.npy"), "old");
}

TEST_F(NpyTest, ChecksNameTheFileAndBothSides) {
  const NpyArray array = ReadNpy(WriteSmall("a.npy")).value();
  EXPECT_TRUE(CheckType("x.npy", array, {NpyType::kInt32, NpyType::kFloat32}).ok());
  EXPECT_EQ(CheckType("x.npy", array, {NpyType::kInt32, NpyType::kFloat16}).message(),
            "x.npy: dtype float32 is not int32 or float16");
  EXPECT_TRUE(CheckShape("x.npy", array, {{"tokens", kAnySize}, {"experts", 3}}).ok());
  EXPECT_EQ(CheckShape("x.npy", array, {{"tokens", kAnySize}, {"experts", 4}}).message(),
            "x.npy: shape (2, 3) is not [tokens, experts = 4]");
  EXPECT_EQ(CheckShape("x.npy", array, {{"experts", 3}}).message(), "x.npy: shape (2, 3) is not [experts = 3]");
}

}  // namespace
}  // namespace evenkeel::tools
