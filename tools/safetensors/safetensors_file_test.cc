#include "tools/safetensors/safetensors_file.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

class SafetensorsFileTest : public FolderTest {
 protected:
  // A file with this JSON and these data.
  void Write(const std::string& json, const std::string& data) {
    const uint64_t length = json.size();
    WriteFile("x.safetensors", absl::StrCat(Bytes<uint64_t>({length}), json, data));
  }
  absl::StatusOr<SafetensorsFile> Open() { return SafetensorsFile::Open(Path("x.safetensors")); }
};

TEST_F(SafetensorsFileTest, ReadsEveryFloatTypeExactly) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  Write(
      R"({"d":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"f":{"dtype":"F32","shape":[1,3],"data_offsets":[16,28]},)"
      R"("h":{"dtype":"F16","shape":[2],"data_offsets":[28,32]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[32,36]},)"
      R"("i":{"dtype":"I16","shape":[1],"data_offsets":[36,38]}})",
      absl::StrCat(Bytes<double>({0.1, -1e300}), Bytes<float>({0.1f, -2.0f, tiny}), Bytes<uint16_t>({0x3c01, 0xc000}),
                   Bytes<uint16_t>({0x3f81, 0xc0da}), Bytes<uint16_t>({7})));
  const absl::StatusOr<SafetensorsFile> file = Open();
  ASSERT_TRUE(file.ok()) << file.status();
  const std::vector<SafetensorsTensor>& tensors = file->header().tensors;
  ASSERT_EQ(tensors.size(), 5u);
  EXPECT_THAT(*file->ReadValues(tensors[0]), ElementsAre(0.1, -1e300));
  EXPECT_THAT(*file->ReadValues(tensors[1]), ElementsAre(0.1f, -2.0, tiny));
  EXPECT_THAT(*file->ReadValues(tensors[2]), ElementsAre(1 + 0x1p-10, -2.0));
  EXPECT_THAT(*file->ReadValues(tensors[3]), ElementsAre(1 + 0x1p-7, -6.8125));
  EXPECT_THAT(file->ReadValues(tensors[4]).status().message(),
              testing::AllOf(HasSubstr(Path("x.safetensors")), HasSubstr("tensor \"i\": dtype I16 is none of F64")));
}

TEST_F(SafetensorsFileTest, ErrorsNameTheFile) {
  EXPECT_EQ(Open().status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Open().status().message(), HasSubstr(Path("x.safetensors")));
  WriteFile("x.safetensors", "\x02\0");
  EXPECT_THAT(Open().status().message(), HasSubstr("the file ends before it"));
  Write("{", "");
  EXPECT_THAT(Open().status().message(), testing::AllOf(HasSubstr(Path("x.safetensors")), HasSubstr("header: ")));
  Write("{}", "data");
  EXPECT_THAT(Open().status().message(), HasSubstr("4 bytes are more than the 0"));
}

}  // namespace
}  // namespace evenkeel::tools
