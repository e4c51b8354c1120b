#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/device/device_buffer.h"
#include "client/device/device_runtime.h"
#include "job/job_plan.h"
#include "kernels/balance/cuda/next_step.h"

namespace evenkeel::client {

// The state of a job on a device, which moves it by itself: the bits of job::CommitStep, without the host.
class DeviceJob {
 public:
  // A job that no step has touched, and that begins with `bias`, [total experts], or with 0 where that is empty.
  // `runtime` outlives it.
  //   INVALID_ARGUMENT  a schedule is too long for a table; the message names it
  //   others            of the runtime
  static absl::StatusOr<DeviceJob> Make(const job::JobPlan& plan, DeviceRuntime* runtime,
                                        absl::Span<const float> bias = {});

  // Enqueues the commit of the next step. Memory of the device: counts [total experts]; tokens of each layer,
  // `tokens_stride` elements from one to the next; skips [1] and replays [1].
  absl::Status EnqueueCommit(const uint64_t* counts, const uint64_t* tokens, int64_t tokens_stride,
                             const uint64_t* skips, const uint64_t* replays, DeviceStream stream);

  // float32 [total experts], as the commits that have run left it.
  const float* bias() const { return bias_.data(); }

 private:
  explicit DeviceJob(DeviceRuntime* runtime) : runtime_(runtime) {}

  absl::Status MakeRules(const job::JobPlan& plan);
  absl::Status MakeTables(const job::JobPlan& plan);
  absl::Status MakeState(const job::JobPlan& plan, absl::Span<const float> bias);
  // Memory of the device with `values` in it, once the calls that follow on a stream run.
  template <typename T>
  absl::StatusOr<DeviceBuffer<T>> Upload(const std::vector<T>& values);
  // Waits for what was uploaded.
  absl::Status Finish();

  DeviceRuntime* runtime_;
  // What the rules read: targets, and rates by position.
  std::vector<DeviceBuffer<float>> constants_;
  DeviceBuffer<balance::FlatLayer> layers_;
  DeviceBuffer<balance::RateTable> tables_;
  DeviceBuffer<balance::FlatPlace> place_;
  DeviceBuffer<balance::FlatStep> step_;
  DeviceBuffer<float> rates_;
  DeviceBuffer<float> bias_;
  DeviceBuffer<float> ema_;
  DeviceBuffer<uint64_t> pending_;
  DeviceBuffer<balance::LayerScalars> scalars_;
  DeviceBuffer<uint32_t> refused_;
  balance::NextStep next_ = {};
  balance::FlatUpdate update_ = {};

  // Until Finish().
  OwnedStream upload_;
  std::vector<DeviceBuffer<char>> staging_;
};

}  // namespace evenkeel::client
