#include "server/telemetry/expert_mode.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::telemetry {
namespace {

using Kind = ExpertMode::Kind;

TEST(ExpertModeTest, ReadsItsWords) {
  EXPECT_EQ(ParseExpertMode("off")->kind, Kind::kOff);
  EXPECT_EQ(ParseExpertMode("all")->kind, Kind::kAll);
  EXPECT_EQ(ParseExpertMode("topk:64")->kind, Kind::kTopK);
  EXPECT_EQ(ParseExpertMode("topk:64")->top, 64);
  for (const char* text : {"off", "all", "topk:1"}) EXPECT_EQ(NameOf(*ParseExpertMode(text)), text);
}

TEST(ExpertModeTest, RefusesAllElseByName) {
  for (const char* text : {"", "on", "topk", "topk:", "topk:0", "topk:65", "topk:-1", "topk:8x", "ALL"}) {
    const absl::Status status = ParseExpertMode(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(absl::StrCat("expert_metrics: \"", text, "\"")));
  }
}

TEST(ExpertModeTest, ChoosesByTheNumberOfSeries) {
  EXPECT_EQ(Resolve({}, 32'768 / 3).kind, Kind::kAll);
  EXPECT_EQ(Resolve({}, 32'768 / 3 + 1).kind, Kind::kTopK);
  EXPECT_EQ(Resolve({}, 61 * 256).top, 8);
  EXPECT_EQ(Resolve({Kind::kAll}, 1'000'000).kind, Kind::kAll);
  EXPECT_EQ(Resolve({Kind::kTopK, 3}, 1).top, 3);
  EXPECT_EQ(Resolve({Kind::kOff}, 1).kind, Kind::kOff);
}

}  // namespace
}  // namespace evenkeel::telemetry
