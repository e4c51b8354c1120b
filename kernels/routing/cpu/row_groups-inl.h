// The group filter, one row: which groups' experts compete.

#include "kernels/routing/best_list.h"
#include "kernels/routing/cpu/order-inl.h"
#include "kernels/routing/cpu/row_workspace.h"
#include "kernels/routing/cpu/simd-inl.h"

#if defined(EVENKEEL_ROW_GROUPS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_ROW_GROUPS_INL
#undef EVENKEEL_ROW_GROUPS_INL
#else
#define EVENKEEL_ROW_GROUPS_INL
#endif

#if EVENKEEL_SIMD
HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

// Lane by lane the greatest and the second greatest of what was offered; minus infinity where there was none. Equal
// values count each.
template <class V>
struct Top2 {
  V first;
  V second;
};

template <class V>
HWY_INLINE Top2<V> Merge(const Top2<V>& a, const Top2<V>& b) {
  return {hn::Max(a.first, b.first), hn::Max(hn::Min(a.first, b.first), hn::Max(a.second, b.second))};
}

// Merges all lanes into lane 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE Top2<hn::Vec<hn::CappedTag<float, 4>>> MergeLanes(D d, const Top2<V>& lanes) {
  if constexpr (hn::MaxLanes(d) == 4) {
    const Top2<V> halves = Merge(lanes, Top2<V>{hn::Shuffle1032(lanes.first), hn::Shuffle1032(lanes.second)});
    return Merge(halves, Top2<V>{hn::Shuffle2301(halves.first), hn::Shuffle2301(halves.second)});
  } else {
    const hn::Half<D> half;
    using H = hn::Vec<hn::Half<D>>;
    return MergeLanes(half, Merge(Top2<H>{hn::LowerHalf(half, lanes.first), hn::LowerHalf(half, lanes.second)},
                                  Top2<H>{hn::UpperHalf(half, lanes.first), hn::UpperHalf(half, lanes.second)}));
  }
}

// What group scores are made of: keys, or the unbiased scores of candidates.
template <bool kBiased>
HWY_INLINE Float GroupValues(const float* keys, const float* scores) {
  const Float key = Load(keys);
  if constexpr (kBiased) return key;
  const Float none = ieee::Constant(kNegativeInfinity);
  return ieee::Select(ieee::Less(none, key), Load(scores), none);
}

template <bool kBiased>
HWY_INLINE Top2<Float> OfferGroup(const float* keys, const float* scores, int size) {
  const Float none = ieee::Constant(kNegativeInfinity);
  Top2<Float> best = {none, none};
  int i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    const Float values = GroupValues<kBiased>(keys + i, scores + i);
    best = {hn::Max(best.first, values), hn::Max(best.second, hn::Min(best.first, values))};
  }
  if (i == size) return best;
  const Mask inside = hn::FirstN(kFloat, size - i);
  const Float values = ieee::Select(inside, GroupValues<kBiased>(keys + i, scores + i), none);
  return {hn::Max(best.first, values), hn::Max(best.second, hn::Min(best.first, values))};
}

// The best and the second best of each group.
template <bool kBiased>
HWY_INLINE void GroupTop2(const RouteSpec& spec, RowWorkspace* row) {
  const int size = ExpertsPerGroup(spec);
  const hn::CappedTag<float, 4> four;
  for (int group = 0; group < spec.num_groups; ++group) {
    const int begin = group * size;
    const auto best = MergeLanes(kFloat, OfferGroup<kBiased>(row->keys + begin, row->scores + begin, size));
    hn::StoreU(best.first, four, row->group_best + group);
    hn::StoreU(best.second, four, row->group_second + group);
  }
}

// The scores of kWidth groups from `first` on.
HWY_INLINE Float GroupScores(int terms, int first, const RowWorkspace& row) {
  const Float best = Load(row.group_best + first);
  if (terms == 1) return best;
  const Float second = Load(row.group_second + first);
  if (terms > 2) return second;
  return ieee::Select(ieee::Less(ieee::Constant(kNegativeInfinity), second), ieee::Add(best, second), best);
}

HWY_INLINE void OrderGroups(const RouteSpec& spec, RowWorkspace* row) {
  for (int group = 0; group < spec.num_groups; group += kWidth) {
    const Float best = Load(row->group_best + group);
    const auto has_candidates = hn::RebindMask(kInteger, ieee::Less(ieee::Constant(kNegativeInfinity), best));
    const Integer ordered = Ordered(GroupScores(GroupScoreTerms(spec), group, *row));
    hn::StoreU(hn::IfThenElse(has_candidates, ordered, hn::Set(kInteger, kOrderedLast)), kInteger,
               row->group_order + group);
  }
}

// Scores of more than two terms, by insertion; they take the place of the second best.
HWY_INLINE void GroupSums(const RouteSpec& spec, RowWorkspace* row) {
  const int size = ExpertsPerGroup(spec);
  BestSlots<kMaxSimdSlots> best;
  for (int group = 0; group < spec.num_groups; ++group) {
    best.Reset(GroupScoreTerms(spec));
    for (int e = group * size; e < (group + 1) * size; ++e) {
      if (row->keys[e] > kNegativeInfinity) best.Offer({spec.group_score_biased ? row->keys[e] : row->scores[e], e});
    }
    row->group_best[group] = best.size() == 0 ? kNegativeInfinity : best[0].value;
    float sum = row->group_best[group];
    for (int rank = 1; rank < best.size(); ++rank) sum = evenkeel::ieee::Add(sum, best[rank].value);
    row->group_second[group] = sum;
  }
}

// Lists the first experts of the groups that are kept, ascending; answers their number.
HWY_INLINE int KeepGroups(const RouteSpec& spec, RowWorkspace* row) {
  const int size = ExpertsPerGroup(spec);
  int kept = 0;
  for (int begin = 0; begin < spec.num_groups; begin += kWidth) {
    const Integer groups = hn::Iota(kInteger, begin);
    const Integer ranks = Ranks(row->group_order, spec.num_groups, begin);
    const auto keep =
        hn::And(hn::Lt(ranks, hn::Set(kInteger, spec.top_groups)), hn::Lt(groups, hn::Set(kInteger, spec.num_groups)));
    const Integer firsts = hn::Mul(groups, hn::Set(kInteger, size));
    hn::StoreU(Compress(kInteger, firsts, hn::RebindMask(kFloat, keep)), kInteger, row->segments + kept);
    kept += static_cast<int>(hn::CountTrue(kInteger, keep));
  }
  return kept;
}

// The candidates of groups that are not among the `kept` segments get the key 0.
HWY_INLINE void ZeroDropped(const RouteSpec& spec, int kept, RowWorkspace* row) {
  const int size = ExpertsPerGroup(spec);
  int next = 0;
  for (int begin = 0; begin < spec.num_experts; begin += size) {
    if (next < kept && row->segments[next] == begin) {
      ++next;
      continue;
    }
    for (int e = begin; e < begin + size; ++e) row->keys[e] = row->keys[e] > kNegativeInfinity ? 0 : row->keys[e];
  }
}

HWY_INLINE void LetAllCompete(const RouteSpec& spec, RowWorkspace* row) {
  row->segments[0] = 0;
  row->competing = {1, Padded(spec.num_experts)};
}

// First step: the terms of the group scores.
HWY_INLINE void MeasureGroups(const RouteSpec& spec, RowWorkspace* row) {
  if (GroupScoreTerms(spec) > 2) return GroupSums(spec, row);
  spec.group_score_biased ? GroupTop2<true>(spec, row) : GroupTop2<false>(spec, row);
}

// Second step: which groups compete.
HWY_INLINE void FilterGroups(const RouteSpec& spec, RowWorkspace* row) {
  OrderGroups(spec, row);
  const int kept = KeepGroups(spec, row);
  row->competing = {kept, ExpertsPerGroup(spec)};
  if (spec.dropped_group_fill == DroppedGroupFill::kNegInf) return;
  ZeroDropped(spec, kept, row);
  LetAllCompete(spec, row);
}

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // EVENKEEL_SIMD
#endif  // include guard of a target
