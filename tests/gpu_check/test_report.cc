#include "tests/gpu_check/test_report.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/gpu_check/json.h"

namespace evenkeel::gpu_check {
namespace {

// What a message of a skip or of a failure says first.
std::string FirstMessage(const testing::TestResult& result) {
  for (int i = 0; i < result.total_part_count(); ++i) {
    const testing::TestPartResult& part = result.GetTestPartResult(i);
    if (part.passed()) continue;
    if (part.skipped()) return part.message();
    return absl::StrCat(part.file_name() == nullptr ? "" : part.file_name(), ":", part.line_number(), ": ",
                        part.message());
  }
  return "";
}

std::string NotesToJson(const std::vector<TestReport::Note>& notes, const std::string& text) {
  std::vector<std::string> objects;
  for (const TestReport::Note& note : notes) {
    objects.push_back(JsonObject({{"name", JsonString(note.name)}, {text, JsonString(note.text)}}));
  }
  return JsonArray(objects);
}

}  // namespace

std::string TestReport::ToJson() const {
  return JsonObject({
      {"passed", absl::StrCat(passed_)},
      {"failed", NotesToJson(failed_, "message")},
      {"skipped", NotesToJson(skipped_, "reason")},
      {"seconds", absl::StrFormat("%.1f", seconds_)},
  });
}

void TestReport::OnTestSuiteStart(const testing::TestSuite& suite) {
  absl::FPrintF(stderr, "%s, %d tests\n", suite.name(), suite.test_to_run_count());
}

void TestReport::OnTestEnd(const testing::TestInfo& test) {
  const testing::TestResult& result = *test.result();
  const Note note = {absl::StrCat(test.test_suite_name(), ".", test.name()), FirstMessage(result)};
  if (result.Failed()) {
    failed_.push_back(note);
    absl::FPrintF(stderr, "FAILED %s\n%s\n", note.name, note.text);
  } else if (result.Skipped()) {
    skipped_.push_back(note);
    absl::FPrintF(stderr, "skipped %s: %s\n", note.name, note.text);
  } else {
    ++passed_;
  }
}

void TestReport::OnTestProgramEnd(const testing::UnitTest& all) {
  seconds_ = all.elapsed_time() / 1000.0;
  absl::FPrintF(stderr, "%d tests passed, %d failed, %d skipped in %.1f s\n", passed_, failed_.size(), skipped_.size(),
                seconds_);
}

}  // namespace evenkeel::gpu_check
