#include "tests/benchmarks/line_child.h"

#include <csignal>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::benchmarks {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<LineChild> Shell(const std::string& script) {
  auto child = LineChild::Start({"sh", "-c", script});
  EXPECT_TRUE(child.ok()) << child.status();
  return *std::move(child);
}

TEST(LineChildTest, EachLineHasItsAnswer) {
  const auto child = Shell("while read -r line; do echo \"<$line>\"; done");
  for (const std::string& line : {std::string("one"), std::string("two words"), std::string(5000, 'x')}) {
    EXPECT_EQ(*child->Ask(line), "<" + line + ">");
  }
}

TEST(LineChildTest, AnswersThatComeTogetherOrInPartsAreTakenLineByLine) {
  const auto child = Shell("read -r a; printf 'first\\nsec'; read -r b; printf 'ond\\n'; read -r c");
  EXPECT_EQ(*child->Ask("a"), "first");
  EXPECT_EQ(*child->Ask("b"), "second");
}

TEST(LineChildTest, AChildThatEndsIsUnavailable) {
  const auto child = Shell("read -r a; echo half; exit 77");
  EXPECT_EQ(*child->Ask("a"), "half");
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = child->Ask("b").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr("sh has ended"));
  }
}

TEST(LineChildTest, AChildThatDoesNotAnswerIsEnded) {
  const auto child = Shell("exec tail -f /dev/null");
  const absl::Status status = child->Ask("a", absl::Milliseconds(10)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("sh said nothing for 10ms"));
}

TEST(LineChildTest, NamesTheProgramThatDoesNotStart) {
  const absl::Status status = LineChild::Start({"/no/such/program"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/program"));
}

}  // namespace
}  // namespace evenkeel::benchmarks
