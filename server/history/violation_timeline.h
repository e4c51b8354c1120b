#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::history {

// The violations of each row of a job, at all of its steps, ever more coarsely: each sample is of `stride` steps, and
// when there is no room for another, two and two become one of twice the stride. There is room for 256 samples, and for
// fewer, of 16 at least, where the rows are more than 4,096: eight bytes for each row and sample, at most 8 MiB up to
// 65,536 rows. All of it is taken at once. Not thread-safe.
class ViolationTimeline {
 public:
  explicit ViolationTimeline(int rows);

  // The next step: of each row (largest load - 1) and mean of |load - 1|.
  void Add(uint64_t step, absl::Span<const float> max, absl::Span<const float> avg);

  // Sets stride, steps, max_violation and avg_violation. The last sample is of fewer steps while they are not all here.
  void Describe(v1::GetHistoryResponse* response) const;

 private:
  void Append(uint64_t step);
  void MergePairs();

  const size_t rows_;
  const size_t capacity_;
  uint64_t stride_ = 1;
  std::vector<uint64_t> steps_;
  // [steps_, rows]
  std::vector<float> max_;
  std::vector<float> avg_;
  // The sample that is not complete: its steps, the newest of them, and of each row the largest and the sum.
  uint64_t open_steps_ = 0;
  uint64_t newest_ = 0;
  std::vector<float> open_max_;
  std::vector<double> open_sum_;
};

}  // namespace evenkeel::history
