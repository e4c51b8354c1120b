// The best top_k of the experts that compete, one row.
//
// The row is cut into kColumns columns; the top_k-th greatest of their maxima is a threshold that at least top_k keys
// reach and, in a row like any other, few more. What reaches it is collected in the order of ids and sorted by counting
// how many come before each. No step depends on where the best are, so there is no branch to mispredict; only a row
// with many equal keys leaves this path.

#include "kernels/routing/best_list.h"
#include "kernels/routing/cpu/order-inl.h"
#include "kernels/routing/cpu/row_workspace.h"
#include "kernels/routing/cpu/simd-inl.h"

#if defined(EVENKEEL_ROW_SELECTION_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_ROW_SELECTION_INL
#undef EVENKEEL_ROW_SELECTION_INL
#else
#define EVENKEEL_ROW_SELECTION_INL
#endif

#if EVENKEEL_SIMD
HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

// More candidates than this are sorted by insertion.
inline constexpr int kMaxRanked = 64;

// The keys at `from`, of which the first `size` compete; minus infinity for the others.
HWY_INLINE Float CompetingKeys(const float* from, int size) {
  return ieee::Select(hn::FirstN(kFloat, size), Load(from), ieee::Constant(kNegativeInfinity));
}

// In every lane a key that at least top_k competitors reach, or all of them if they are fewer; top_k <= kColumns / 2.
template <int kColumns>
HWY_INLINE Float Threshold(int top_k, const RowWorkspace& row) {
  constexpr int kRegisters = kColumns / kWidth;
  Float maxima[kRegisters];
  for (Float& maximum : maxima) maximum = ieee::Constant(kNegativeInfinity);
  for (int s = 0; s < row.competing.count; ++s) {
    const float* keys = row.keys + row.segments[s];
    int i = 0;
    for (; i + kColumns <= row.competing.size; i += kColumns) {
      for (int r = 0; r < kRegisters; ++r) maxima[r] = hn::Max(maxima[r], Load(keys + i + r * kWidth));
    }
    for (int r = 0; r < kRegisters && i < row.competing.size; ++r, i += kWidth) {
      maxima[r] = hn::Max(maxima[r], CompetingKeys(keys + i, row.competing.size - i));
    }
  }

  alignas(64) float columns[kColumns];
  for (int r = 0; r < kRegisters; ++r) Store(maxima[r], columns + r * kWidth);
  Float threshold = ieee::Constant(kNegativeInfinity);
  for (int r = 0; r < kRegisters; ++r) {
    Integer reaching = hn::Zero(kInteger);  // how many columns reach each of this register's, itself among them
    for (int c = 0; c < kColumns; ++c) {
      const Mask reaches = hn::Ge(ieee::Constant(columns[c]), maxima[r]);
      reaching = Count(hn::RebindMask(kInteger, reaches), reaching);
    }
    const Mask enough = hn::RebindMask(kFloat, hn::Gt(reaching, hn::Set(kInteger, top_k - 1)));
    threshold = hn::Max(threshold, ieee::Select(enough, maxima[r], ieee::Constant(kNegativeInfinity)));
  }
  return LargestLane(threshold);
}

HWY_INLINE Float ThresholdFor(int top_k, const RowWorkspace& row) {
  if (top_k <= 8) return Threshold<16>(top_k, row);
  if (top_k <= 16) return Threshold<32>(top_k, row);
  return Threshold<64>(top_k, row);
}

// Appends the competitors among `keys` that reach the threshold; lane 0 is expert `first`.
HWY_INLINE void Append(Float keys, Float threshold, int first, RowWorkspace* row) {
  const Mask reaches = hn::Ge(keys, threshold);
  Store(Compress(kFloat, keys, reaches), row->candidate_keys + row->candidates);
  hn::StoreU(Compress(kInteger, hn::Iota(kInteger, first), reaches), kInteger, row->candidate_ids + row->candidates);
  row->candidates += static_cast<int>(hn::CountTrue(kFloat, reaches));
}

// First step: collects the competitors whose key reaches the threshold, by ascending id.
HWY_INLINE void CollectCandidates(int top_k, RowWorkspace* row) {
  // Minus infinity is no candidate's key.
  const Float threshold = hn::Max(ThresholdFor(top_k, *row), ieee::Constant(-__FLT_MAX__));
  const int size = row->competing.size;
  row->candidates = 0;
  for (int s = 0; s < row->competing.count; ++s) {
    const int begin = row->segments[s];
    int i = 0;
    for (; i + kWidth <= size; i += kWidth) Append(Load(row->keys + begin + i), threshold, begin + i, row);
    if (i < size) Append(CompetingKeys(row->keys + begin + i, size - i), threshold, begin + i, row);
  }
}

// Whole blocks of candidates are sorted, the last one filled up with what comes after all others: loops of a length
// that varies from row to row are mispredicted.
HWY_INLINE void SortByRank(RowWorkspace* row) {
  constexpr int kBlock = 16;
  alignas(64) int32_t ordered[kMaxRanked];
  alignas(64) int32_t ranks[kMaxRanked];
  const int padded = (row->candidates + kBlock - 1) / kBlock * kBlock;
  for (int i = 0; i < kBlock; i += kWidth) {
    Store(ieee::Constant(kNegativeInfinity), row->candidate_keys + row->candidates + i);
  }
  for (int i = 0; i < padded; i += kWidth) {
    hn::Store(Ordered(Load(row->candidate_keys + i)), kInteger, ordered + i);
  }
  for (int i = 0; i < padded; i += kWidth) hn::Store(Ranks(ordered, padded, i), kInteger, ranks + i);
  for (int i = 0; i < padded; ++i) row->ids[ranks[i]] = row->candidate_ids[i];
}

HWY_INLINE void SortByInsertion(int top_k, RowWorkspace* row) {
  BestSlots<kMaxSimdSlots> best;
  best.Reset(top_k);
  for (int i = 0; i < row->candidates; ++i) best.Offer({row->candidate_keys[i], row->candidate_ids[i]});
  for (int slot = 0; slot < best.size(); ++slot) row->ids[slot] = best[slot].id;
}

// Second step: row->ids[0 .. top_k - 1] become the best, -1 behind them where there are fewer.
HWY_INLINE void SortCandidates(int top_k, RowWorkspace* row) {
  if (row->candidates <= kMaxRanked) {
    SortByRank(row);
  } else {
    SortByInsertion(top_k, row);
  }
  for (int slot = row->candidates; slot < top_k; ++slot) row->ids[slot] = -1;
}

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // EVENKEEL_SIMD
#endif  // include guard of a target
