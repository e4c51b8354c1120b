#include "tools/safetensors/safetensors_header.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// What the reader says of a JSON with so many bytes of data after it.
std::string Refusal(const std::string& json, uint64_t data_bytes) {
  const absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(json, data_bytes);
  if (header.ok()) return "accepted";
  EXPECT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument) << header.status();
  return std::string(header.status().message());
}

// A header with one tensor "t" of these members.
std::string OneTensor(const std::string& members) { return absl::StrCat("{\"t\":{", members, "}}"); }

TEST(SafetensorsHeaderTest, ReadsTensorsInTheOrderOfTheirData) {
  const absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(
      R"({"b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},"__metadata__":{"format":"pt"},)"
      R"("scalar":{"shape":[],"data_offsets":[10,18],"dtype":"F64"},"none":{"dtype":"I64","shape":[0,7],"data_offsets":[2,2]},)"
      R"("a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},"packed":{"dtype":"F4","shape":[4],"data_offsets":[18,20]}}   )",
      20);
  ASSERT_TRUE(header.ok()) << header.status();
  std::vector<std::string> names;
  for (const SafetensorsTensor& tensor : header->tensors) names.push_back(tensor.name);
  EXPECT_THAT(names, ElementsAre("a", "none", "b", "scalar", "packed"));
  EXPECT_THAT(header->tensors[2].shape, ElementsAre(2, 1));
  EXPECT_EQ(header->tensors[2].type.name, "F32");
  EXPECT_EQ(header->tensors[2].begin, 2u);
  EXPECT_EQ(header->tensors[2].end, 10u);
  EXPECT_THAT(header->tensors[3].shape, IsEmpty());
  EXPECT_THAT(header->metadata, ElementsAre(Pair("format", "pt")));
}

TEST(SafetensorsHeaderTest, AFileMayHoldNothing) {
  const absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader("{}", 0);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_THAT(header->tensors, IsEmpty());
}

TEST(SafetensorsHeaderTest, DataHaveNoGapsAndNoOverlaps) {
  const auto two = [](const std::string& first, const std::string& second) {
    return absl::StrCat(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)", first,
                        R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)", second, "}}");
  };
  EXPECT_EQ(Refusal(two("[0,4]", "[4,8]"), 8), "accepted");
  EXPECT_EQ(Refusal(two("[4,8]", "[0,4]"), 8), "accepted");
  EXPECT_THAT(Refusal(two("[0,4]", "[5,9]"), 9), HasSubstr("tensor \"b\": data_offsets [5, 9] leave a gap"));
  EXPECT_THAT(Refusal(two("[0,4]", "[3,7]"), 7), HasSubstr("tensor \"b\": data_offsets [3, 7] overlap"));
  EXPECT_THAT(Refusal(two("[0,4]", "[0,4]"), 4), HasSubstr("tensor \"b\": data_offsets [0, 4] overlap"));
  EXPECT_THAT(Refusal(two("[1,5]", "[5,9]"), 9), HasSubstr("tensor \"a\": data_offsets [1, 5] leave a gap"));
  EXPECT_THAT(Refusal(two("[0,4]", "[4,8]"), 7), HasSubstr("tensor \"b\": data_offsets [4, 8] are beyond the 7 bytes"));
  EXPECT_THAT(Refusal(two("[0,4]", "[4,8]"), 9), HasSubstr("9 bytes are more than the 8"));
  EXPECT_THAT(Refusal("{}", 1), HasSubstr("1 bytes are more than the 0"));
}

TEST(SafetensorsHeaderTest, RefusesATensorByItsName) {
  const std::string offsets = R"("data_offsets":[0,4])";
  EXPECT_EQ(Refusal(OneTensor(absl::StrCat(R"("dtype":"F32","shape":[1],)", offsets)), 4), "accepted");
  for (const auto& [members, words] : {
           std::pair{absl::StrCat(R"("dtype":"F33","shape":[1],)", offsets), "dtype \"F33\" is none of BOOL"},
           std::pair{absl::StrCat(R"("dtype":"f32","shape":[1],)", offsets), "dtype \"f32\""},
           std::pair{absl::StrCat(R"("dtype":"F32","shape":[2],)", offsets),
                     "data_offsets [0, 4] are not the 8 bytes of F32 [2]"},
           std::pair{std::string(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), "data_offsets [4, 0]"},
           std::pair{std::string(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), "[0, 4, 8] are not two"},
           std::pair{std::string(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "an integer from 0"},
           std::pair{std::string(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])"), "12 bits, no whole number"},
           std::pair{std::string(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])"),
                     "more than 2^63 bits"},
           std::pair{std::string(R"("dtype":"F32","shape":[1])"), "data_offsets is missing"},
           std::pair{absl::StrCat(R"("dtype":"F32",)", offsets), "shape is missing"},
           std::pair{absl::StrCat(R"("shape":[1],)", offsets), "dtype is missing"},
           std::pair{absl::StrCat(R"("dtype":"F32","shape":[1],"stride":[1],)", offsets),
                     "\"stride\" is an unknown key"},
           std::pair{absl::StrCat(R"("dtype":"F32","dtype":"F32","shape":[1],)", offsets),
                     "\"dtype\" is an unknown key"},
       }) {
    const std::string refusal = Refusal(OneTensor(members), 4);
    EXPECT_THAT(refusal, HasSubstr("tensor \"t\": ")) << members;
    EXPECT_THAT(refusal, HasSubstr(words)) << members;
  }
}

TEST(SafetensorsHeaderTest, RefusesNamesGivenTwice) {
  const std::string empty = R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  EXPECT_THAT(Refusal(absl::StrCat("{\"t\":", empty, ",\"t\":", empty, "}"), 0),
              HasSubstr("tensor \"t\": is given twice"));
  EXPECT_THAT(Refusal(R"({"__metadata__":{},"__metadata__":{}})", 0), HasSubstr("given twice"));
  EXPECT_THAT(Refusal(R"({"__metadata__":{"k":"1","k":"2"}})", 0), HasSubstr("\"k\" is given twice"));
  EXPECT_THAT(Refusal(R"({"__metadata__":{"k":1}})", 0), HasSubstr("a string is missing"));
}

TEST(SafetensorsHeaderTest, RefusesWhatIsNoHeader) {
  for (const std::string json : {"", " {}", "[]", "{", "{}}", "{} x", "{\"t\"}", "{\"t\":1}", "{,}", "{\"t\":{},}"}) {
    EXPECT_NE(Refusal(json, 0), "accepted") << json;
  }
}

TEST(SafetensorsHeaderTest, TheLengthIsHeldAgainstTheFile) {
  const auto length = [](const std::string& start, uint64_t bytes) { return ParseSafetensorsLength(start, bytes); };
  EXPECT_EQ(*length(std::string("\x02\x01\0\0\0\0\0\0", 8), 8 + 0x102), 0x102u);
  EXPECT_THAT(length("\x02", 1).status().message(), HasSubstr("the file ends before it, at byte 1"));
  EXPECT_THAT(length(std::string("\x03\0\0\0\0\0\0\0", 8), 10).status().message(), HasSubstr("3 is more than the 2"));
  EXPECT_THAT(length(std::string(8, '\xff'), 100).status().message(), HasSubstr("18446744073709551615 is more than"));
  const std::string large("\x01\xe1\xf5\x05\0\0\0\0", 8);  // 100'000'001
  EXPECT_THAT(length(large, 200'000'000).status().message(), HasSubstr("100000001 is more than 100000000"));
}

TEST(SafetensorsHeaderTest, WhatIsWrittenIsRead) {
  const std::string odd_name = "a \"quoted\\\" name\n\x01 é";
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"odd \"key\"", "1\t2"}};
  const std::string start = FormatSafetensorsHeader({{odd_name, {}, {2, 3}}, {"scalar", {}, {}}}, metadata);
  const absl::StatusOr<uint64_t> length = ParseSafetensorsLength(start, start.size() + 28);
  ASSERT_TRUE(length.ok()) << length.status();
  EXPECT_EQ(*length + 8, start.size());
  EXPECT_EQ(start.size() % 8, 0u);
  const absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(start.substr(8), 28);
  ASSERT_TRUE(header.ok()) << header.status();
  ASSERT_EQ(header->tensors.size(), 2u);
  EXPECT_EQ(header->tensors[0].name, odd_name);
  EXPECT_THAT(header->tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(header->tensors[1].begin, 24u);
  EXPECT_EQ(header->metadata, metadata);
}

TEST(SafetensorsHeaderTest, WritesTheBytesOfTheFormat) {
  EXPECT_EQ(FormatSafetensorsHeader({{"t", {}, {1}}}, {}),
            absl::StrCat(std::string("\x38\0\0\0\0\0\0\0", 8),
                         R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  )"));
}

}  // namespace
}  // namespace evenkeel::tools
