#include "tools/safetensors/safetensors_set.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class SafetensorsSetTest : public FolderTest {
 protected:
  // A file with one tensor of one element.
  void Write(const std::string& file, const std::string& tensor, float value) {
    WriteFile(file, absl::StrCat(FormatSafetensorsHeader({{tensor, {}, {1}}}, {}),
                                 std::string(reinterpret_cast<const char*>(&value), sizeof(value))));
  }
};

TEST_F(SafetensorsSetTest, AFolderIsTheTensorsOfItsFiles) {
  std::filesystem::create_directory(Path("model"));
  Write("model/model-00001-of-00002.safetensors", "b", 2);
  Write("model/model-00002-of-00002.safetensors", "a", 1);
  WriteFile("model/model.safetensors.index.json", "{}");
  const absl::StatusOr<SafetensorsSet> set = SafetensorsSet::Open(Path("model"));
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(set->Names(), ElementsAre("a", "b"));
  EXPECT_THAT(*set->ReadValues("a"), ElementsAre(1.0));
  EXPECT_THAT(*set->ReadValues("b"), ElementsAre(2.0));
  EXPECT_EQ(set->Tensor("b").name, "b");
  EXPECT_FALSE(set->Has("c"));
}

TEST_F(SafetensorsSetTest, OneFileIsASetToo) {
  Write("x.safetensors", "a", 1);
  EXPECT_THAT(SafetensorsSet::Open(Path("x.safetensors"))->Names(), ElementsAre("a"));
}

TEST_F(SafetensorsSetTest, ErrorsNameTheFiles) {
  const auto refusal = [this] { return std::string(SafetensorsSet::Open(Path("model")).status().message()); };
  EXPECT_THAT(refusal(), HasSubstr(Path("model")));
  std::filesystem::create_directory(Path("model"));
  EXPECT_THAT(refusal(), HasSubstr("no file in it ends in .safetensors"));
  Write("model/1.safetensors", "a", 1);
  Write("model/2.safetensors", "a", 1);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("tensor \"a\""), HasSubstr("1.safetensors"), HasSubstr("2.safetensors")));
  WriteFile("model/2.safetensors", "x");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("2.safetensors"), HasSubstr("the file ends before it")));
}

}  // namespace
}  // namespace evenkeel::tools
