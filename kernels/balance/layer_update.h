#pragma once

#include <cstdint>

#include "kernels/balance/float_sum.h"
#include "kernels/balance/layer_state.h"
#include "kernels/balance/rule.h"
#include "kernels/balance/step_info.h"
#include "kernels/balance/update_reason.h"
#include "kernels/ieee.h"

// The update of one layer, in one text for the host and for a block of GPU threads; update.h says what it computes, and
// the bits are the same whatever runs it. A Block is
//   Block::kThreads  a power of two
//   memory()         the BlockMemory<kThreads> that its threads share
//   Phase(function)  calls function(thread) for each of its threads, at once or in any order, and comes back when all
//                    have returned
// Inside a phase a thread touches what belongs to its own experts, those equal to it modulo kThreads, and what the
// phase says of shared memory. Outside of phases all threads do the same with values that are the same in all, and
// write nothing that they share. The host is a block of one thread.
namespace evenkeel::balance {

// What one step of one layer reads and what it moves. Not owned; everything is [num_experts].
struct LayerBuffers {
  const uint64_t* counts;  // of the step
  uint64_t tokens;         // of the step
  float* bias;
  float* ema;
  uint64_t* pending;  // counts since the last update
};

// Each is exact up to kMaxCountSum, and beyond it where the true sum is.
struct CountSums {
  uint64_t step;
  uint64_t all;  // with what is pending
};

EVENKEEL_HD_INLINE CountSums Join(const CountSums& a, const CountSums& b) { return {a.step + b.step, a.all + b.all}; }

template <int kThreads>
struct BlockMemory {
  CountSums count_sums[kThreads];
  FloatSum float_sums[kThreads];
  float values[kThreads];
  double sum;
  float mean;
};

template <typename Block, typename Function>
EVENKEEL_HD_INLINE void ForEachExpert(Block& block, int num_experts, Function function) {
  block.Phase([&](int thread) {
    for (int expert = thread; expert < num_experts; expert += Block::kThreads) function(expert);
  });
}

template <typename Block, typename Function>
EVENKEEL_HD_INLINE void ForEachMoving(Block& block, const LayerStep& step, Function function) {
  ForEachExpert(block, step.num_experts, [&](int expert) {
    if (Moves(step, expert)) function(expert);
  });
}

// Joins parts[0 .. kThreads - 1] into parts[0], as a tree.
template <typename Block, typename Part>
EVENKEEL_HD_INLINE void JoinParts(Block& block, Part* parts) {
  for (int half = Block::kThreads / 2; half > 0; half /= 2) {
    block.Phase([&](int thread) {
      if (thread < half) parts[thread] = Join(parts[thread], parts[thread + half]);
    });
  }
}

// kMaxExperts of these, and as many again, add up in 64 bits.
EVENKEEL_HD_INLINE uint64_t Saturated(uint64_t count) { return count <= kMaxCountSum ? count : kMaxCountSum + 1; }

template <typename Block>
EVENKEEL_HD_INLINE CountSums AddCounts(Block& block, int num_experts, const LayerBuffers& layer) {
  CountSums* const sums = block.memory().count_sums;
  block.Phase([&](int thread) {
    CountSums own = {0, 0};
    for (int expert = thread; expert < num_experts; expert += Block::kThreads) {
      const uint64_t count = Saturated(layer.counts[expert]);
      own = Join(own, {count, count + Saturated(layer.pending[expert])});
    }
    sums[thread] = own;
  });
  JoinParts(block, sums);
  return sums[0];
}

// Leaves the sum of value(expert) over the experts that move, in index order, in memory().sum: thread 0 adds
// what the others have made ready. An expert that stays adds zero, which changes no sum that began at +0.
template <typename Block, typename Value>
EVENKEEL_HD_INLINE void AddInOrder(Block& block, const LayerStep& step, Value value) {
  auto& memory = block.memory();
  block.Phase([&](int thread) {
    if (thread == 0) memory.sum = 0;
  });
  for (int begin = 0; begin < step.num_experts; begin += Block::kThreads) {
    block.Phase([&](int thread) {
      const int expert = begin + thread;
      const bool moves = expert < step.num_experts && Moves(step, expert);
      memory.values[thread] = moves ? value(expert) : 0.0f;
    });
    block.Phase([&](int thread) {
      if (thread != 0) return;
      double sum = memory.sum;
      for (int i = 0; i < Block::kThreads; ++i) sum = ieee::Add(sum, static_cast<double>(memory.values[i]));
      memory.sum = sum;
    });
  }
}

// Mean of value(expert) over the experts that move, summed in index order in double. Thread by thread and along a tree
// where that is the same, which it nearly always is; one thread alone is in index order already.
template <typename Block, typename Value>
EVENKEEL_HD_INLINE float Mean(Block& block, const LayerStep& step, Value value) {
  auto& memory = block.memory();
  FloatSum* const sums = memory.float_sums;
  block.Phase([&](int thread) {
    FloatSum own = SumOfNone();
    for (int expert = thread; expert < step.num_experts; expert += Block::kThreads) {
      if (Moves(step, expert)) own = Plus(own, value(expert));
    }
    sums[thread] = own;
  });
  JoinParts(block, sums);
  const bool in_order = Block::kThreads > 1 && !AnyOrder(sums[0], step.num_experts);
  if (in_order) AddInOrder(block, step, value);
  block.Phase([&](int thread) {
    if (thread != 0) return;
    const double sum = in_order ? memory.sum : sums[0].sum;
    memory.mean = static_cast<float>(ieee::Div(sum, static_cast<double>(step.num_moving)));
  });
  return memory.mean;
}

template <typename Block>
EVENKEEL_HD_INLINE float MeanBias(Block& block, const LayerStep& step, const LayerBuffers& layer) {
  return Mean(block, step, [&](int expert) { return layer.bias[expert]; });
}

template <typename Block>
EVENKEEL_HD_INLINE void UpdateEma(Block& block, const LayerStep& step, const LayerBuffers& layer) {
  ForEachMoving(block, step, [&](int expert) {
    const float observation = Observation(step, expert, layer.pending[expert] + layer.counts[expert]);
    layer.ema[expert] = NextEma(step, layer.ema[expert], observation);
  });
}

template <typename Block>
EVENKEEL_HD_INLINE void AddDelta(Block& block, const LayerStep& step, const LayerBuffers& layer) {
  const auto delta = [&](int expert) { return Delta(step, expert, layer.ema[expert]); };
  const float offset = step.center == Center::kDelta ? Mean(block, step, delta) : 0.0f;
  ForEachMoving(block, step, [&](int expert) {
    layer.bias[expert] = ieee::Add(layer.bias[expert], ieee::Sub(delta(expert), offset));
  });
}

template <typename Block>
EVENKEEL_HD_INLINE void CenterBias(Block& block, const LayerStep& step, const LayerBuffers& layer) {
  const float mean = MeanBias(block, step, layer);
  ForEachMoving(block, step, [&](int expert) { layer.bias[expert] = ieee::Sub(layer.bias[expert], mean); });
}

template <typename Block>
EVENKEEL_HD_INLINE void CapBias(Block& block, const LayerStep& step, const LayerBuffers& layer) {
  const float middle = step.cap_mode == CapMode::kDeviation ? MeanBias(block, step, layer) : 0.0f;
  const float low = ieee::Sub(middle, step.cap);
  const float high = ieee::Add(middle, step.cap);
  ForEachMoving(block, step, [&](int expert) { layer.bias[expert] = Clamp(layer.bias[expert], low, high); });
}

template <typename Block>
EVENKEEL_HD_INLINE void Move(Block& block, const LayerStep& step, const LayerBuffers& layer) {
  UpdateEma(block, step, layer);
  AddDelta(block, step, layer);
  if (step.center == Center::kState) CenterBias(block, step, layer);
  if (step.cap > 0) CapBias(block, step, layer);
}

// Why the bias stays, whatever is pending; kMoved if nothing holds it.
EVENKEEL_HD_INLINE UpdateReason HeldBy(const LayerRule& rule, const StepInfo& info, float rate, bool has_tokens) {
  if (info.mode == Mode::kObserve) return UpdateReason::kObserved;
  if (info.mode == Mode::kFrozen || rule.frozen) return UpdateReason::kFrozen;
  if (info.position <= rule.warmup_steps) return UpdateReason::kWarmUp;
  if (rate == 0) return UpdateReason::kRateZero;
  if (!has_tokens) return UpdateReason::kNoTokens;
  return UpdateReason::kMoved;
}

// Commits one step of one layer at `rate`. `scalars` is each thread's own copy of the layer's. False, and nothing has
// changed, if the counts or tokens that it would add up exceed kMaxCountSum. All threads meet at least once.
template <typename Block>
EVENKEEL_HD_INLINE bool UpdateLayer(Block& block, const LayerRule& rule, const StepInfo& info, float rate,
                                    const LayerBuffers& layer, LayerScalars* scalars) {
  const CountSums sums = AddCounts(block, rule.num_experts, layer);
  if (layer.tokens > 0 && sums.step > kMaxCountSum) return false;
  UpdateReason reason = HeldBy(rule, info, rate, layer.tokens > 0 && sums.step > 0);
  if (reason == UpdateReason::kMoved) {
    const uint64_t tokens = Saturated(layer.tokens) + scalars->tokens;
    if (sums.all > kMaxCountSum || tokens > kMaxCountSum) return false;
    if (tokens < rule.min_tokens) {
      reason = UpdateReason::kBelowMinTokens;
      scalars->tokens = tokens;
      ForEachExpert(block, rule.num_experts, [&](int expert) { layer.pending[expert] += layer.counts[expert]; });
    } else {
      scalars->ema_product = ieee::Mul(rule.momentum, scalars->ema_product);
      const float divisor = rule.ema_correction ? ieee::Sub(1.0f, scalars->ema_product) : 1.0f;
      Move(block, LayerStep{rule, rate, divisor, sums.all}, layer);
      scalars->tokens = 0;
      ForEachExpert(block, rule.num_experts, [&](int expert) { layer.pending[expert] = 0; });
      scalars->last_update = info.step;
    }
  }
  scalars->last_commit = info.step;
  scalars->last_reason = reason;
  return true;
}

// Commits one step that moves nothing, for that reason.
EVENKEEL_HD_INLINE void HoldLayer(uint64_t step, UpdateReason reason, LayerScalars* scalars) {
  scalars->last_commit = step;
  scalars->last_reason = reason;
}

}  // namespace evenkeel::balance
