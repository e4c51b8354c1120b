#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/source/bias_source.h"
#include "client/source/step_counts.h"
#include "client/worker/counting.h"
#include "client/worker/layer_table.h"
#include "client/worker/step_order.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// What the public headers promise of a worker; evenkeel.h and worker.h say what each call does, and how it fails.
class Worker {
 public:
  static absl::StatusOr<std::unique_ptr<Worker>> Join(const WorkerOptions& options);

  absl::Status BeginStep(uint64_t step);
  absl::Status Route(int layer, const Tokens& tokens, const Assignments& assignments);
  absl::Status Count(int layer, const int32_t* ids, int64_t rows, const uint8_t* valid_mask);
  absl::Status AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots);
  absl::Status Commit(uint64_t step, bool ok);
  absl::Status Leave();

  const float* bias(int layer) const {
    return layer >= 0 && layer < layers_.size() ? &bias_[layers_[layer].offset] : nullptr;
  }
  const StepReport& report() const { return report_; }
  const std::string& summary() const { return summary_; }

 private:
  Worker(const WorkerOptions& options, LayerTable layers, std::unique_ptr<BiasSource> source);

  // That `call` may count at `layer` now.
  absl::Status CheckCounting(absl::string_view call, int layer) const;
  // Makes version_ the current one.
  void Adopt();
  // What is known of the version that routes `step`.
  void Report(uint64_t step);

  const std::chrono::milliseconds patience_;
  const LayerTable layers_;
  const uint64_t first_step_;
  int lag_ = 0;
  uint64_t first_version_ = 0;
  StepOrder order_;
  std::vector<LayerCounts> counts_;  // by the caller's index
  std::vector<float> bias_;          // [total experts], in protocol order
  StepReport report_;
  std::string summary_;

  // Kept from step to step for its memory.
  v1::CommittedVersion version_;
  StepCountsPool pool_;
  // The last member, for its threads read what comes from the pool.
  const std::unique_ptr<BiasSource> source_;
};

}  // namespace evenkeel::client
