#include "tools/npy/npy_header.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A header of the given version around `dict`.
std::string Header(absl::string_view dict, char major = 1) {
  std::string bytes = absl::StrCat("\x93NUMPY", std::string(1, major), std::string(1, '\0'));
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) bytes.push_back(static_cast<char>(dict.size() >> (8 * i)));
  return absl::StrCat(bytes, dict);
}

std::string Dict(absl::string_view descr, absl::string_view shape) {
  return absl::StrCat("{'descr': '", descr, "', 'fortran_order': False, 'shape': ", shape, ", }\n");
}

TEST(NpyHeaderTest, ReadsWhatNumpyWrites) {
  for (const char major : {1, 2, 3}) {
    const std::string bytes = Header(Dict("<f4", "(16, 8)"), major);
    const NpyHeader header = ParseNpyHeader(bytes + "data").value();
    EXPECT_EQ(header.type, NpyType::kFloat32);
    EXPECT_THAT(header.shape, ElementsAre(16, 8));
    EXPECT_EQ(header.data_bytes, 16 * 8 * 4);
    EXPECT_EQ(header.data_offset, bytes.size());
  }
}

TEST(NpyHeaderTest, ReadsEveryTypeAndShape) {
  const struct {
    absl::string_view descr;
    NpyType type;
    size_t size;
  } kTypes[] = {
      {"|b1", NpyType::kBool, 1},    {"<f2", NpyType::kFloat16, 2}, {"<f4", NpyType::kFloat32, 4},
      {"<f8", NpyType::kFloat64, 8}, {"<i4", NpyType::kInt32, 4},   {"<i8", NpyType::kInt64, 8},
      {"<u4", NpyType::kUint32, 4},  {"<u8", NpyType::kUint64, 8},
  };
  for (const auto& c : kTypes) {
    const NpyHeader header = ParseNpyHeader(Header(Dict(c.descr, "(3,)"))).value();
    EXPECT_EQ(header.type, c.type);
    EXPECT_EQ(header.data_bytes, 3 * c.size);
    EXPECT_EQ(NpyTypeSize(c.type), c.size);
  }
  const NpyHeader scalar = ParseNpyHeader(Header(Dict("<i8", "()"))).value();
  EXPECT_THAT(scalar.shape, IsEmpty());
  EXPECT_EQ(scalar.data_bytes, 8);
  EXPECT_EQ(ParseNpyHeader(Header(Dict("<i8", "(0, 4096)"))).value().data_bytes, 0);
  EXPECT_THAT(ParseNpyHeader(Header(Dict("<i8", "(2, 3, 4,)"))).value().shape, ElementsAre(2, 3, 4));
}

TEST(NpyHeaderTest, KeysComeInAnyOrderAndEitherQuotes) {
  const NpyHeader header =
      ParseNpyHeader(Header("{\"shape\":(2 , 3),\"fortran_order\":False,\"descr\":\"<f8\"}   \n")).value();
  EXPECT_EQ(header.type, NpyType::kFloat64);
  EXPECT_THAT(header.shape, ElementsAre(2, 3));
}

TEST(NpyHeaderTest, RefusalsNameFieldAndValue) {
  const std::string good = Header(Dict("<f4", "(2,)"));
  const struct {
    std::string bytes;
    absl::string_view message;
  } kCases[] = {
      {"", "magic: '' is not that of an .npy file"},
      {"PK\x03\x04zip", "magic: 'PK\\x03\\x04zi' is not that of an .npy file"},
      {good.substr(0, 5), "magic: "},
      {good.substr(0, 7), "version: the file ends before it"},
      {good.substr(0, 9), "header length: the file ends before it"},
      {Header(Dict("<f4", "(2,)"), 4), "version: 4.0 is none of 1.0, 2.0, 3.0"},
      {good.substr(0, 30), "is more than the 20 bytes that it can have"},
      {absl::StrCat("\x93NUMPY\x02", std::string(1, '\0'), "\xff\xff\xff\xff{}"),
       "header length: 4294967295 is more than the 2 bytes that it can have"},
      {Header(Dict(">f4", "(2,)")), "descr: '>f4' is big-endian; convert it with .astype('<f4')"},
      {Header(Dict("<f16", "(2,)")), "descr: '<f16' is no type that is read here; these are: bool, float16, "},
      {Header(Dict("|O", "(2,)")), "descr: '|O' is no type"},
      {Header(Dict("|i1", "(2,)")), "descr: '|i1' is no type"},
      {Header(Dict("|f4", "(2,)")), "descr: '|f4' is no type"},
      {Header(Dict("", "(2,)")), "descr: '' is no type"},
      {Header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"), "descr: a list makes a struct"},
      {Header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }"), "fortran_order: True is not read here"},
      {Header("{'descr': '<f4', 'fortran_order': 1, 'shape': (2, 2), }"), "fortran_order: '1' is neither"},
      {Header(Dict("<f4", "(-4, 2)")), "shape[0]: -4 is negative"},
      {Header(Dict("<f4", "(2, 99999999999999999999)")), "shape[1]: '99999999999999999999' is not a 64-bit integer"},
      {Header(Dict("<f4", "(4294967296, 4294967296)")), "shape: (4294967296, 4294967296) has more than 2^63 bytes"},
      {Header(Dict("<f4", "(0, 4294967296, 4294967296)")), "has more than 2^63 bytes"},
      {Header(Dict("<f8", "(1152921504606846976,)")), "shape: (1152921504606846976,) has more than 2^63 bytes"},
      {Header(Dict("<f4", "(2.0, 2)")), "shape[0]: '2.0' is not a 64-bit integer"},
      {Header(Dict("<f4", "(2)")), "shape: (2) is not a tuple"},
      {Header(Dict("<f4", "(2 2)")), "header: ')' is missing"},
      {Header(Dict("<f4", "(,)")), "shape[0]: '' is not a 64-bit integer"},
      {Header(Dict("<f4", "[2, 2]")), "header: '(' is missing"},
      {Header("{'descr': '<f4', 'shape': (2,), }"), "header: fortran_order is missing"},
      {Header("{'fortran_order': False, 'shape': (2,), }"), "header: descr is missing"},
      {Header("{'descr': '<f4', 'fortran_order': False, }"), "header: shape is missing"},
      {Header("{'descr': '<f4', 'descr': '<f8'}"), "header: 'descr' is an unknown key, or given twice"},
      {Header("{'descr': '<f4', 'order': 'C'}"), "header: 'order' is an unknown key, or given twice"},
      {Header("{'descr': '<f4"), "header: a string is missing"},
      {Header("{'descr' '<f4'}"), "header: ':' is missing"},
      {Header("{descr: '<f4'}"), "header: a string is missing at byte 1"},
      {Header(Dict("<f4", "(2,)") + "more"), "header: the end is missing"},
      {Header(""), "header: '{' is missing at byte 0, before ''"},
  };
  for (const auto& c : kCases) {
    const absl::Status status = ParseNpyHeader(c.bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(NpyHeaderTest, EveryTruncationIsRefused) {
  const std::string bytes = Header(Dict("<f4", "(2, 3)"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ParseNpyHeader(bytes.substr(0, size)).ok()) << size;
  }
}

TEST(NpyHeaderTest, WritesAnAlignedHeaderThatReadsBack) {
  for (const NpyType type : {NpyType::kBool, NpyType::kFloat16, NpyType::kFloat32, NpyType::kFloat64, NpyType::kInt32,
                             NpyType::kInt64, NpyType::kUint32, NpyType::kUint64}) {
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{}, {0}, {7}, {3, 4}, {0, 8}, std::vector<int64_t>(32, 1)}) {
      const std::string bytes = FormatNpyHeader(type, shape);
      EXPECT_EQ(bytes.size() % 64, 0);
      EXPECT_EQ(bytes.back(), '\n');
      const NpyHeader header = ParseNpyHeader(bytes).value();
      EXPECT_EQ(header.type, type);
      EXPECT_EQ(header.shape, shape);
      EXPECT_EQ(header.data_offset, bytes.size());
    }
  }
}

TEST(NpyHeaderTest, ShowsShapesAsPythonDoes) {
  EXPECT_EQ(NpyShapeText({}), "()");
  EXPECT_EQ(NpyShapeText({8}), "(8,)");
  EXPECT_EQ(NpyShapeText({16, 8}), "(16, 8)");
}

}  // namespace
}  // namespace evenkeel::tools
