// The group filter by exact keys. Text for the lanes of a warp; row-inl.h says where it may be included.
//
// A lane takes a group, and walks over its experts in the warp's scratch memory.

// Where value i lies, its bits: lanes that walk in steps of 32 shall not meet in one bank.
EVENKEEL_WARP Word Skewed(Word i) { return i + (i >> 5u); }

// Those of a row.
template <int R>
EVENKEEL_WARP void StoreValues(const Float* values, const WarpScratch<R>& scratch) {
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    warp::Store(scratch.values() + 33 * r, warp::LaneIndex(), ieee::Bits(values[r]), true);
  }
  warp::Sync(scratch.memory);
}

EVENKEEL_WARP Float LoadValue(warp::Shared values, Word i, Mask inside) {
  return ieee::FromBits(warp::Load(values, Skewed(i), inside, 0xff800000u));
}

struct GroupMember {
  Float value;
  Word place;
};

// The next of the group's candidates after `last`, by (value descending, place ascending); minus infinity behind them.
EVENKEEL_WARP GroupMember NextBest(int size, Word first, Mask inside, warp::Shared values, const GroupMember& last) {
  GroupMember next = {kNegativeInfinity, 0u};
  for (int i = 0; i < size; ++i) {
    const Word place = static_cast<uint32_t>(i);
    const Float value = LoadValue(values, first + place, inside);
    const Mask left = (value < last.value) | ((value == last.value) & (place > last.place));
    const Mask better = left & (value > next.value);
    next = {ieee::Select(better, value, next.value), warp::Select(better, place, next.place)};
  }
  return next;
}

struct GroupTerms {
  Float best;  // minus infinity where there is no candidate
  Float sum;
};

EVENKEEL_WARP GroupTerms SumOfMany(const RoutePlan& plan, Word first, Mask inside, warp::Shared values) {
  GroupMember next = NextBest(plan.experts_per_group, first, inside, values, {__builtin_inff(), 0u});
  GroupTerms terms = {next.value, next.value};
  for (int term = 1; term < plan.group_score_terms; ++term) {
    next = NextBest(plan.experts_per_group, first, inside, values, next);
    terms.sum = ieee::Select(next.value > kNegativeInfinity, ieee::Add(terms.sum, next.value), terms.sum);
  }
  return terms;
}

// The two best of a group, as far as a lane knows; minus infinity or NaN where there is none.
struct GroupBest {
  Float best;
  Float second;
};

// Of places `from`, from + step, ... of a group of `size` values, the first of which is value `first`.
EVENKEEL_WARP GroupBest WalkOver(int size, Word first, Word from, int step, Mask inside, warp::Shared values) {
  GroupBest group = {kNegativeInfinity, kNegativeInfinity};
  for (int i = 0; i < size; i += step) {
    const Word place = from + static_cast<uint32_t>(i);
    const Float value = LoadValue(values, first + place, inside & (place < static_cast<uint32_t>(size)));
    group.second = warp::MaxNumber(group.second, warp::MinOrNan(group.best, value));
    group.best = warp::MaxNumber(group.best, value);
  }
  return group;
}

// The score of a group by its two best, or its best.
EVENKEEL_WARP Float ScoreOfTwo(const RoutePlan& plan, const GroupBest& group) {
  const Mask is_sum = (group.second > kNegativeInfinity) & (plan.group_score_terms == 2);
  return ieee::Select(is_sum, ieee::Add(group.best, group.second), group.best);
}

EVENKEEL_WARP GroupTerms SumOfTwo(const RoutePlan& plan, Word first, Mask inside, warp::Shared values) {
  const GroupBest group = WalkOver(plan.experts_per_group, first, 0u, 1, inside, values);
  return {group.best, ScoreOfTwo(plan, group)};
}

// Integers in the order of the groups' scores; 0 for a group without candidates.
EVENKEEL_WARP Word GroupOrder(const RoutePlan& plan, Word group, Mask inside, warp::Shared values) {
  const Word first = group * static_cast<uint32_t>(plan.experts_per_group);
  const GroupTerms terms =
      plan.group_score_terms > 2 ? SumOfMany(plan, first, inside, values) : SumOfTwo(plan, first, inside, values);
  return warp::Select(terms.best > kNegativeInfinity, Ordered(ieee::Add(terms.sum, 0.0f)), 0u);
}

// Sets the bits of the groups that are kept. An order takes the place of a value that no later group needs.
template <int R>
EVENKEEL_WARP void KeepGroups(const RoutePlan& plan, const WarpScratch<R>& scratch) {
  const int groups = plan.spec.num_groups;
  for (int first = 0; first < groups; first += 32) {
    const Word group = warp::LaneIndex() + static_cast<uint32_t>(first);
    const Mask inside = group < static_cast<uint32_t>(groups);
    const Word order = GroupOrder(plan, group, inside, scratch.values());
    warp::Sync(scratch.memory);
    warp::Store(scratch.values(), group, order, inside);
  }
  warp::Sync(scratch.memory);
  for (int first = 0; first < groups; first += 32) {
    const Word group = warp::LaneIndex() + static_cast<uint32_t>(first);
    const Mask inside = group < static_cast<uint32_t>(groups);
    const Word order = warp::Load(scratch.values(), group, inside, 0u);
    Word rank = 0u;
    for (int other = 0; other < groups; ++other) {
      const Word index = static_cast<uint32_t>(other);
      const Word theirs = warp::Load(scratch.values(), index, true, 0u);
      const Mask ahead = (theirs > order) | ((theirs == order) & (index < group));
      rank = rank + warp::Select(ahead, 1u, 0u);
    }
    const Mask kept = (order > 0u) & (rank < static_cast<uint32_t>(plan.spec.top_groups));
    const Word word = static_cast<uint32_t>(first / 32);
    warp::Store(scratch.kept_groups(), word, warp::Ballot(kept), warp::LaneIndex() == 0u);
  }
  warp::Sync(scratch.memory);
}

// The candidates of groups that are not kept get the key 0, or are candidates no more.
template <int R>
EVENKEEL_WARP void FilterGroups(const RoutePlan& plan, const Float* scores, Float* keys,
                                const WarpScratch<R>& scratch) {
  Float offered[R];
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Float value = plan.spec.group_score_biased ? keys[r] : scores[r];
    offered[r] = ieee::Select(keys[r] > kNegativeInfinity, value, kNegativeInfinity);
  }
  StoreValues<R>(offered, scratch);
  KeepGroups<R>(plan, scratch);
  const float fill = plan.spec.dropped_group_fill == DroppedGroupFill::kZero ? 0.0f : kNegativeInfinity;
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Word expert = Expert(warp::LaneIndex(), r);
    const Word group = (expert * plan.group_reciprocal) >> static_cast<uint32_t>(kGroupShift);
    const Word kept = warp::Load(scratch.kept_groups(), group >> 5u, IsExpert(plan, expert), 0u) >> (group & 31u);
    const Mask drop = ((kept & 1u) == 0u) & (keys[r] > kNegativeInfinity);
    keys[r] = ieee::Select(drop, fill, keys[r]);
  }
}
