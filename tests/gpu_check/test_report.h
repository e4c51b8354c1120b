#pragma once

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::gpu_check {

// What became of the tests. A listener that also says on stderr, suite by suite, how far the run is.
class TestReport : public testing::EmptyTestEventListener {
 public:
  struct Note {
    std::string name;
    std::string text;  // why skipped; the first failure
  };

  int passed() const { return passed_; }
  const std::vector<Note>& failed() const { return failed_; }
  const std::vector<Note>& skipped() const { return skipped_; }

  // A JSON object.
  std::string ToJson() const;

 private:
  void OnTestSuiteStart(const testing::TestSuite& suite) override;
  void OnTestEnd(const testing::TestInfo& test) override;
  void OnTestProgramEnd(const testing::UnitTest& all) override;

  int passed_ = 0;
  double seconds_ = 0;
  std::vector<Note> failed_;
  std::vector<Note> skipped_;
};

}  // namespace evenkeel::gpu_check
