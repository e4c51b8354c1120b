#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "kernels/balance/cuda/flat_update.h"
#include "kernels/balance/update.h"
#include "kernels/balance/update_generators.h"

// For tests: a job of random ragged layers twice over, in the flat buffers of a FlatUpdate and as the LayerStates of
// ReferenceUpdate(), which are to stay the same.
namespace evenkeel::balance {

// What a FlatUpdate points to, in the memory of the host.
struct FlatBuffers {
  std::vector<FlatLayer> layers;
  std::vector<float> targets;  // of all experts, those of layers without targets unused
  FlatStep step;
  std::vector<float> rates;
  std::vector<uint64_t> counts;
  std::vector<uint64_t> tokens;
  std::vector<float> bias;
  std::vector<float> ema;
  std::vector<uint64_t> pending;
  std::vector<LayerScalars> scalars;
  std::vector<uint32_t> refused;

  FlatUpdate Update();
};

class FlatJob {
 public:
  // Layers of `sizes` experts, with configs and a state of `seed`. `apply_skipped`: as in NextStep (next_step.h).
  FlatJob(uint64_t seed, const std::vector<int>& sizes, bool apply_skipped = false);
  FlatJob(const FlatJob&) = delete;

  // Draws the input of the next step, lets ReferenceUpdate() take it, and leaves it in buffers() to be taken.
  void DrawStep() { DrawStep(RandomMode(random_)); }
  void DrawStep(Mode mode);

  // The flat state is that of the reference, bit for bit, and no layer was refused.
  void ExpectSame() const;

  FlatBuffers& buffers() { return buffers_; }
  const std::vector<BalanceConfig>& configs() const { return configs_; }
  // Ranks that did not take the step, and ranks that replayed it.
  uint64_t skips() const { return skips_; }
  uint64_t replays() const { return replays_; }

  // How often the reference answered what.
  const std::map<UpdateReason, int>& seen() const { return seen_; }

 private:
  LayerState FlatState(int layer) const;

  Random random_;
  const bool apply_skipped_;
  std::vector<BalanceConfig> configs_;
  std::vector<LayerState> want_;
  FlatBuffers buffers_;
  uint64_t step_ = 0;
  uint64_t position_ = 0;
  uint64_t skips_ = 0;
  uint64_t replays_ = 0;
  std::map<UpdateReason, int> seen_;
};

}  // namespace evenkeel::balance
