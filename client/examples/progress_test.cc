#include "client/examples/progress.h"

#include "gtest/gtest.h"

namespace text_worker {
namespace {

using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStdout;

evenkeel::StepReport ReportOfStepSeven() {
  evenkeel::StepReport report;
  report.epoch = 2;
  report.step = 7;
  report.ok = false;
  report.bias_hash = 0xabc;
  report.tokens = 8192;
  report.max_violation = {1.5f, 0.25f};
  return report;
}

TEST(ProgressTest, TellsAProgramInJson) {
  const Progress progress(/*json=*/true);
  CaptureStdout();
  progress.Begin(7);
  progress.Commit(7);
  progress.Step(ReportOfStepSeven(), 0.25);
  progress.Done(ReportOfStepSeven());
  EXPECT_EQ(
      GetCapturedStdout(),
      R"({"event":"begin","step":7})"
      "\n"
      R"({"event":"commit","step":7})"
      "\n"
      R"({"event":"step","step":7,"epoch":2,"ok":false,"max_violation":0.875,)"
      R"("layer_max_violation":[1.5,0.25],"tokens":8192,"bias_hash":"0000000000000abc","commit_seconds":0.250000})"
      "\n"
      R"({"event":"done","steps":7,"bias_hash":"0000000000000abc"})"
      "\n");
}

TEST(ProgressTest, TellsAPersonOneLineAStep) {
  const Progress progress(/*json=*/false);
  CaptureStdout();
  progress.Begin(7);
  progress.Commit(7);
  progress.Step(ReportOfStepSeven(), 0.25);
  progress.Done(ReportOfStepSeven());
  EXPECT_EQ(GetCapturedStdout(),
            "step 7: max violation 0.875, 8192 tokens, committed in 250.0 ms\n"
            "done after step 7, bias 0000000000000abc\n");
}

}  // namespace
}  // namespace text_worker
