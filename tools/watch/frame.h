#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "tools/load_rows.h"
#include "tools/watch/heat_map.h"

// The picture that `evenkeel watch` shows: a pure function of what is known.
namespace evenkeel::tools {

struct WindowSize {
  int columns = 80;
  int lines = 24;
};

// What is known of the coordinator, newest last.
struct WatchView {
  std::string coordinator;
  // Why nothing newer is known; empty where the last call was answered.
  std::string trouble;
  // Names of all jobs, and which of them is shown: empty where there is none.
  std::vector<std::string> jobs;
  std::string job;
  v1::DescribeJobResponse description;
  // Of the step `loads_step`; empty where they are not known.
  std::vector<LoadRow> rows;
  uint64_t loads_step = 0;
  // The job's max violation at the steps seen, oldest first.
  std::deque<double> violations;
  // Of `rows`: the one that is looked at.
  int selected = 0;
};

// At most size.lines lines of at most size.columns characters, with the escape codes of `style`; each ends plain. Text
// of others (names, messages) is shown in ASCII alone.
std::vector<std::string> Frame(const WatchView& view, const WindowSize& size, const TerminalStyle& style);

}  // namespace evenkeel::tools
