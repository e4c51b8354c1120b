// The rows of a warp of 32 lanes, by the contract of route.h. No header of its own: it is included inside a namespace
// that says what Float, Word (32 bits, unsigned) and Mask are, one value for each lane, where ieee:: has the operations
// of ieee.h on them and warp:: what lanes do together, and which has arithmetic-inl.h. On a device they are float,
// uint32_t and bool of one thread, on the host arrays of 32; EVENKEEL_WARP and EVENKEEL_UNROLL are what goes before a
// function and before a loop over registers.
//
// No lane goes its own way: branches are by uniform values, which are plain C++ types; the rest is masks. So the host
// executes what the device does.

// Each needs those before it.
// clang-format off
#include "kernels/routing/warp/row_scratch-inl.h"
#include "kernels/routing/warp/row_scores-inl.h"
#include "kernels/routing/warp/row_groups-inl.h"
#include "kernels/routing/warp/row_selection-inl.h"
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
  return SelectBest<R>(plan.spec.top_k, keys, scratch);
}

// Experts that do not depend on scores.
template <int R>
EVENKEEL_WARP Word GivenExperts(const RoutePlan& plan, int64_t row, const WarpScratch<R>& scratch) {
  if (plan.input.replay_ids != nullptr) return ReplayedExperts(plan, row);
  if (plan.input.forced.mode == ForcedBalance::Mode::kRoundRobin) return RoundRobinExperts(plan, row);
  return RandomExperts<R>(plan, row, scratch);
}

// The experts of a row by all of its logits, and its softmax where it is needed.
template <int R>
EVENKEEL_WARP Chosen ChooseExactly(const RoutePlan& plan, const Float* bias, int64_t row, const WarpScratch<R>& scratch,
                                   RowSoftmax* softmax) {
  Float logits[R];
  if (plan.scores_select || plan.needs_softmax) LoadRow<R>(plan, row, logits);
  if (plan.needs_softmax) *softmax = SoftmaxOfRow<R>(logits);
  Chosen chosen = {kNoExpert, 0.0f, false};
  if (!plan.scores_select) {
    chosen.ids = GivenExperts<R>(plan, row, scratch);
  } else if (warp::Ballot(ieee::IsFinite(softmax->sum)) != 0) {
    chosen.ids = BestExperts<R>(plan, bias, *softmax, logits, scratch);
  }
  return chosen;
}

// Routes a row that is not masked; `counter` gets its ids, a slot a lane. `bias` is that of LoadBias.
template <int R, class Counter>
EVENKEEL_WARP void RouteRow(const RoutePlan& plan, const Float* bias, int64_t row, const WarpScratch<R>& scratch,
                            Counter& counter) {
  RowSoftmax softmax = {0.0f, 0.0f};
  Chosen chosen;
  if (!plan.prunes || !ChoosePruned<R>(plan, bias, row, scratch, &chosen)) {
    chosen = ChooseExactly<R>(plan, bias, row, scratch, &softmax);
  }
  counter.Count(plan, chosen.ids);
  StoreRow<R>(plan, row, chosen.ids, plan.wants_weights ? WeightsOf(plan, row, softmax, chosen) : Float(0.0f));
}

// Routes rows first, first + step, ... .
template <int R, class Counter>
EVENKEEL_WARP void RouteRows(const RoutePlan& plan, int64_t first, int64_t step, const WarpScratch<R>& scratch,
                             Counter& counter) {
  Float bias[R];
  LoadBias<R>(plan, warp::LaneIndex(), bias);
  for (int64_t row = first; row < plan.input.rows; row += step) {
    const bool masked = plan.input.valid_mask != nullptr && plan.input.valid_mask[row] == 0;
    if (masked) {
      StoreRow<R>(plan, row, kNoExpert, 0.0f);
    } else {
      RouteRow<R>(plan, bias, row, scratch, counter);
    }
  }
}

// Counts assignments in a histogram that the warps of a block share, and rows and short slots of its own: a warp has
// fewer than 2^27 rows, a block fewer than 2^32.
struct AssignmentCounter {
  bool counts_experts;
  warp::Shared counts;  // [E]
  uint32_t valid_rows;
  uint32_t short_slots;

  EVENKEEL_WARP void Count(const RoutePlan& plan, Word ids) {
    const Mask chosen = IsExpert(plan, ids);
    valid_rows += 1;
    short_slots += plan.spec.top_k - warp::PopCount(warp::Ballot(chosen));
    if (counts_experts) warp::Increment(counts, ids, chosen);
  }
};
