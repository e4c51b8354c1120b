#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "evenkeel/v1/job.pb.h"

namespace evenkeel::core {

// What the contributors of a job are together: shown to people and never decided by.
struct Fleet {
  // Steps before the open one that a contributor which has joined took no part in, the most over them.
  uint64_t lag_steps = 0;
  // Ranks that the job has, as far as is told: its world_size, or those that its contributors stand for.
  int ranks = 0;
  // Of those, what took part in the last commit.
  int ranks_reporting = 0;
  // What each contributor that has joined runs on.
  std::vector<std::shared_ptr<const v1::WorkerInfo>> workers;
  // Of the figures that they told last: the most, of lost_steps the sum. Absent where none has told any.
  bool has_figures = false;
  v1::WorkerFigures figures;
};

}  // namespace evenkeel::core
