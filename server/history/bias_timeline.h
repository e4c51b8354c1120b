#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::history {

// The bias of each expert of a job, in the job's flat order, after every so many of its steps: when there is no room
// for another sample, every other one is given up. There is room for 64 samples, and for fewer, of 8 at least, where
// the experts are more than 65,536: four bytes for each expert and sample, at most 16 MiB up to 524,288 experts. All of
// it is taken at once. Not thread-safe.
class BiasTimeline {
 public:
  explicit BiasTimeline(int experts);

  // After the next step.
  void Add(uint64_t step, absl::Span<const float> bias);

  // Sets bias_steps, and bias to that of the `count` experts from `offset` on. `newest` is that of all experts after
  // the step that was added last.
  void Describe(int offset, int count, absl::Span<const float> newest, v1::GetHistoryResponse* response) const;

 private:
  void Thin();

  const size_t experts_;
  const size_t capacity_;
  uint64_t stride_ = 1;
  // Steps since the last sample, and the newest of them.
  uint64_t open_steps_ = 0;
  uint64_t newest_ = 0;
  std::vector<uint64_t> steps_;
  // [steps_, experts]
  std::vector<float> bias_;
};

}  // namespace evenkeel::history
