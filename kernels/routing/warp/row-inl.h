// The rows of a warp of 32 lanes, by the contract of route.h. No header of its own: it is included inside a namespace
// that says what Float, Word (32 bits, unsigned) and Mask are, one value for each lane, where ieee:: has the operations
// of ieee.h on them and warp:: what lanes do together, and which has arithmetic-inl.h. On a device they are float,
// uint32_t and bool of one thread, on the host arrays of 32; EVENKEEL_WARP is what goes before a function,
// EVENKEEL_UNROLL before a loop over registers, and EVENKEEL_NO_UNROLL before one that is to stay a loop.
//
// No lane goes its own way: branches are by uniform values, which are plain C++ types; the rest is masks. So the host
// executes what the device does.

// Each needs those before it.
// clang-format off
#include "kernels/routing/warp/row_scratch-inl.h"
#include "kernels/routing/warp/row_floats-inl.h"
#include "kernels/routing/warp/row_scores-inl.h"
#include "kernels/routing/warp/row_place-inl.h"
#include "kernels/routing/warp/row_slots-inl.h"
#include "kernels/routing/warp/row_groups-inl.h"
#include "kernels/routing/warp/row_selection-inl.h"
#include "kernels/routing/warp/row_near_groups-inl.h"
#include "kernels/routing/warp/row_pruning-inl.h"
#include "kernels/routing/warp/row_weights-inl.h"
#include "kernels/routing/warp/row_output-inl.h"
// clang-format on

// The best experts of a row by their biased scores, all of which are computed.
template <int R>
EVENKEEL_WARP Word BestExperts(const RoutePlan& plan, const Float* bias, const RowSoftmax& softmax, Float* logits,
                               const WarpScratch<R>& scratch) {
  ScoreLogits<R>(plan, softmax, logits);
  const Float* scores = logits;
  Float keys[R];
  KeysOf<R>(plan, scores, bias, keys);
  if (plan.groups) FilterGroups<R>(plan, scores, keys, scratch);
  return TakeOneByOne<R>(plan.spec.top_k, keys);
}

// Experts that do not depend on scores.
template <int R>
EVENKEEL_WARP Word GivenExperts(const RoutePlan& plan, const Row& row) {
  if (plan.input.replay_ids != nullptr) return ReplayedExperts(plan, row);
  if (plan.input.forced.mode == ForcedBalance::Mode::kRoundRobin) return RoundRobinExperts(plan, row);
  return RandomExperts<R>(plan, row);
}

// The experts of a row by all of its logits, and its softmax where it is needed.
template <int R>
EVENKEEL_WARP Chosen ChooseExactly(const RoutePlan& plan, const Float* bias, const Row& row,
                                   const WarpScratch<R>& scratch, RowSoftmax* softmax) {
  Float logits[R];
  if (plan.scores_select || plan.needs_softmax) LoadRow<R>(plan, row, logits);
  if (plan.needs_softmax) *softmax = SoftmaxOfRow<R>(logits);
  Chosen chosen = {kNoExpert, 0.0f, false};
  if (!plan.scores_select) {
    chosen.ids = GivenExperts<R>(plan, row);
  } else if (warp::Ballot(ieee::IsFinite(softmax->sum)) != 0) {
    chosen.ids = BestExperts<R>(plan, bias, *softmax, logits, scratch);
  }
  return chosen;
}

// Counts and stores what has been chosen.
template <int R, class Counter>
EVENKEEL_WARP void Finish(const RoutePlan& plan, const Row& row, const RowSoftmax& softmax, const Chosen& chosen,
                          Counter& counter) {
  counter.Count(plan, chosen.ids);
  StoreRow<R>(plan, row, chosen.ids, plan.wants_weights ? WeightsOf(plan, row, softmax, chosen) : Float(0.0f));
}

// Routes a row that is not masked; `counter` gets its ids, a slot a lane, and hears of rows that were not chosen by
// approximate scores.
template <int R, class Counter>
EVENKEEL_WARP void RouteRow(const RoutePlan& plan, const WarpBias<R>& bias, const Row& row,
                            const WarpScratch<R>& scratch, Counter& counter) {
  RowSoftmax softmax = {0.0f, 0.0f};
  Chosen chosen;
  // What follows knows of each, at compile time, whether it has the values.
  if (plan.prunes && ChoosePruned<R>(plan, bias, row, scratch, &softmax, &chosen)) {
    return Finish<R>(plan, row, softmax, chosen, counter);
  }
  counter.CountExactly();
  chosen = ChooseExactly<R>(plan, bias.of, row, scratch, &softmax);
  Finish<R>(plan, row, softmax, chosen, counter);
}

// Routes rows first, first + step, ... . `step_bytes` is step times plan.row_bytes.
template <int R, class Counter>
EVENKEEL_WARP void RouteRows(const RoutePlan& plan, int64_t first, int64_t step, const RowBytes& step_bytes,
                             const WarpScratch<R>& scratch, Counter& counter) {
  const WarpBias<R> bias = LoadWarpBias<R>(plan);
  for (Row row = RowAt(plan, first); row.number < plan.input.rows; Advance(step, step_bytes, &row)) {
    const bool masked = plan.input.valid_mask != nullptr && plan.input.valid_mask[row.number] == 0;
    if (masked) {
      if (!plan.output.keep_masked_rows) StoreRow<R>(plan, row, kNoExpert, 0.0f);
    } else {
      RouteRow<R>(plan, bias, row, scratch, counter);
    }
  }
}

// Counts assignments in a histogram that the warps of a block share, and rows and short slots of its own: a warp has
// fewer than 2^27 rows, a block fewer than 2^32.
struct AssignmentCounter {
  warp::Shared counts;  // [E]
  uint32_t valid_rows;
  uint32_t short_slots;

  EVENKEEL_WARP void CountExactly() {}

  EVENKEEL_WARP void Count(const RoutePlan& plan, Word ids) {
    const Mask chosen = IsExpert(plan, ids);
    valid_rows += 1;
    short_slots += plan.spec.top_k - warp::PopCount(warp::Ballot(chosen));
    if (plan.counts) warp::Increment(counts, ids, chosen);
  }
};
