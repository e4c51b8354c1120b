#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "tools/load_rows.h"

namespace evenkeel::tools {

// What a report shows of a run, wherever it comes from. Plain data.
struct RunPicture {
  // The loads of some steps together; without rows where they are not known.
  struct Loads {
    uint64_t first_step = 0;
    uint64_t last_step = 0;
    std::vector<LoadRow> rows;
  };
  struct Event {
    // What happened came after it.
    uint64_t step = 0;
    std::string text;
  };

  // In words: the folder of a record, or a coordinator.
  std::string source;
  // As it was at the end.
  v1::DescribeJobResponse description;
  // Rows in layer order, over all steps that are known.
  v1::GetHistoryResponse history;
  // Of some rows, the worst at the end first: which row of `history`, and its bias over time.
  struct BiasHistory {
    int row = 0;
    v1::GetHistoryResponse history;
  };
  std::vector<BiasHistory> biases;
  Loads start;
  Loads end;
  // Of all steps since the job was made.
  uint64_t tokens = 0;
  // Ascending.
  std::vector<Event> events;
};

// Rows whose bias a report shows.
inline constexpr int kShownBiases = 4;

// The places of the rows with the largest max violation at the end, at most kShownBiases, the largest first.
std::vector<int> WorstRows(const v1::DescribeJobResponse& description);

}  // namespace evenkeel::tools
