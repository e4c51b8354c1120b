#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::tools {

// What is kept of a run of any length: the violations of each row and the bias of each expert, ever more coarsely. When
// there is no room for another sample, two and two become one. There is room for 256 samples, and for fewer, of 16 at
// least, where a step has more than 65,536 values: 64 MiB up to a million. A step that the run went back over is
// forgotten. Not thread-safe.
class RunTimeline {
 public:
  // The next step; or one that came before, with all that came after it forgotten. Of each row its violations, of each
  // expert its bias, as many as ever.
  struct Step {
    uint64_t step = 0;
    std::vector<float> max_violation;
    std::vector<float> avg_violation;
    std::vector<float> bias;
  };
  void Add(const Step& step);

  uint64_t stride() const { return stride_; }
  // Sets stride, steps, max_violation (the largest of a sample) and avg_violation (its mean).
  void Describe(v1::GetHistoryResponse* history) const;
  // Sets bias_steps, and bias to that of the `count` experts from `offset` on, at the samples' last steps.
  void DescribeBias(size_t offset, size_t count, v1::GetHistoryResponse* history) const;

 private:
  struct Sample {
    // Its newest step; sums of the avg_violation of its `steps` steps.
    Step newest;
    uint64_t steps = 0;
  };
  static size_t CapacityOf(const Step& step);
  static void Merge(const Sample& later, Sample* sample);
  void MergePairs();

  uint64_t stride_ = 1;
  std::vector<Sample> samples_;
};

}  // namespace evenkeel::tools
