// The group filter by approximate keys. Text for the lanes of a warp; row-inl.h says where it may be included.
//
// Most often a group is one register of the warp, or two, or as many lanes of a register as it has experts (a power of
// two, and no fewer than there are registers). Step by step two lanes of a group share out the groups that both have a
// part of, until each has a part of one. Groups of other sizes lie in the warp's scratch memory, and 1, 2, 4, 8 or 16
// lanes walk over each, every lane over a part. Either way each group falls to the same number of lanes.
//
// Why the same groups are kept. Let e = plan.score_error, u = 2^-24, S the greatest score (the scale, or 1; 64 times as
// much for square-root-softplus) and B the greatest finite bias. An expert's key and its approximate key differ by at
// most D = 1.01 e + 2.1 u (S + B), and so do the n-th best of a group and the n-th best by approximation, whichever
// experts these are. A sum of two errs by 2 D, and by its roundings, 2 u (S + B) each. So a group that is ahead by
// twice that, 4.04 e + 16.6 u (S + B), is ahead; subtracting the margin errs by another 2.1 u (S + B), and u S is at
// most e / 8: 6.4 e + 18.7 u B in all. The margin is 12 e + 32 u B; where B is so great that sums may overflow it is
// infinite, and leaves everything open. Logits as scores are not approximated: no margin is too little for them, and
// groups that tie are open.

template <int R>
inline constexpr bool kGroupsFit = GroupsFitRegisters(R);

// The finite bias that is greatest, made a margin.
template <int R>
EVENKEEL_WARP Float GroupMargin(const RoutePlan& plan, const Float* bias) {
  Float magnitudes[R];
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) magnitudes[r] = ieee::Select(bias[r] > kNegativeInfinity, ieee::Abs(bias[r]), 0.0f);
  const Float most = FromOrdered(warp::MaxOf(Ordered(LaneMaxima<R>(magnitudes))));
  const Float margin = ieee::Add(12 * plan.score_error, ieee::Mul(most, 0x1p-19f));
  return ieee::Select(most < 0x1p100f, margin, __builtin_inff());
}

EVENKEEL_WARP GroupBest BestOf(Float a, Float b) { return {warp::MaxNumber(a, b), warp::MinOrNan(a, b)}; }

EVENKEEL_WARP GroupBest BestOf(const GroupBest& a, const GroupBest& b) {
  const GroupBest firsts = BestOf(a.best, b.best);
  return {firsts.best, warp::MaxNumber(firsts.second, warp::MaxNumber(a.second, b.second))};
}

// Two lanes, `distance` apart, have a part each of groups a and b: the upper one takes b, the other a. With kSingle a
// part has one expert.
template <bool kSingle>
EVENKEEL_WARP GroupBest ShareOut(const GroupBest& a, const GroupBest& b, Mask upper, int distance) {
  GroupBest own;
  GroupBest other;
  own.best = warp::Choose(upper, b.best, a.best);
  other.best = warp::ShuffleXor(warp::Choose(upper, a.best, b.best), distance);
  if constexpr (kSingle) return BestOf(own.best, other.best);
  own.second = warp::Choose(upper, b.second, a.second);
  other.second = warp::ShuffleXor(warp::Choose(upper, a.second, b.second), distance);
  return BestOf(own, other);
}

// Of parts of a group in lanes up to `distance` apart.
EVENKEEL_WARP GroupBest BestOfParts(GroupBest group, int distance) {
  for (; distance > 0; distance /= 2) {
    const GroupBest other = {warp::ShuffleXor(group.best, distance), warp::ShuffleXor(group.second, distance)};
    group = BestOf(group, other);
  }
  return group;
}

// The best of the group that falls to a lane, of kGroups that 2 * distance lanes have parts of.
template <int kGroups, bool kSingle>
EVENKEEL_WARP GroupBest BestOfOne(GroupBest* groups, int distance) {
  if constexpr (kGroups > 1) {
    const Mask upper = (warp::LaneIndex() & static_cast<uint32_t>(distance)) > 0u;
    EVENKEEL_UNROLL
    for (int g = 0; g < kGroups / 2; ++g) {
      groups[g] = ShareOut<kSingle>(groups[g], groups[g + kGroups / 2], upper, distance);
    }
    return BestOfOne<kGroups / 2, false>(groups, distance / 2);
  } else {
    return BestOfParts(*groups, distance);
  }
}

template <int R, bool kPairs>
EVENKEEL_WARP GroupBest GatherGroups(const Float* keys, int lanes) {
  constexpr int kGroups = kPairs ? R / 2 : R;
  GroupBest groups[kGroups];
  EVENKEEL_UNROLL
  for (int g = 0; g < kGroups; ++g) {
    groups[g] = kPairs ? BestOf(keys[2 * g], keys[2 * g + 1]) : GroupBest{keys[g], kNegativeInfinity};
  }
  return BestOfOne<kGroups, !kPairs>(groups, lanes / 2);
}

// As many lanes walk over a group as share its score: those of numbers that differ in the low group_lane_bits.
template <int R>
EVENKEEL_WARP GroupBest WalkOverGroups(const RoutePlan& plan, const Float* keys, const WarpScratch<R>& scratch) {
  StoreValues<R>(keys, scratch);
  const Word lane = warp::LaneIndex();
  const int lanes = 1 << plan.group_lane_bits;
  const Word group = lane >> static_cast<uint32_t>(plan.group_lane_bits);
  const Word first = group * static_cast<uint32_t>(plan.experts_per_group);
  const Mask inside = group < static_cast<uint32_t>(plan.spec.num_groups);
  const Word part = lane & static_cast<uint32_t>(lanes - 1);
  const GroupBest own = WalkOver(plan.experts_per_group, first, part, lanes, inside, scratch.values());
  warp::Sync(scratch.memory);
  return BestOfParts(own, lanes / 2);
}

template <int R>
EVENKEEL_WARP GroupBest BestOfGroups(const RoutePlan& plan, const Float* keys, const WarpScratch<R>& scratch) {
  if constexpr (kGroupsFit<R>) {
    if (plan.groups_in_registers) {
      return plan.experts_per_group == 64 ? GatherGroups<R, true>(keys, 32)
                                          : GatherGroups<R, false>(keys, plan.experts_per_group);
    }
  }
  return WalkOverGroups<R>(plan, keys, scratch);
}

// The score of the group that falls to a lane; minus infinity where it has no candidate.
template <int R>
EVENKEEL_WARP Float GroupScores(const RoutePlan& plan, const Float* keys, const WarpScratch<R>& scratch) {
  return warp::MaxNumber(ScoreOfTwo(plan, BestOfGroups<R>(plan, keys, scratch)), kNegativeInfinity);
}

// The groups that are kept: a bit for each lane that one has fallen to.
struct KeptGroups {
  uint32_t lanes;
};

// How many lanes each group falls to.
template <int R>
EVENKEEL_WARP int LanesOfGroup(const RoutePlan& plan) {
  return plan.groups_in_registers ? plan.experts_per_group / R : 1 << plan.group_lane_bits;
}

// A lane that the group of register r of `lane` falls to; any for what is no expert.
template <int R>
EVENKEEL_WARP Word LaneOfGroup(const RoutePlan& plan, Word lane, Word r) {
  const uint32_t lanes = LanesOfGroup<R>(plan);
  // Its first lane for its first experts, and so on; any of them would do.
  if (!plan.groups_in_registers) return ((lane + 32u * r) * (plan.group_reciprocal * lanes)) >> uint32_t{kGroupShift};
  const int size = plan.experts_per_group;
  const Word first_lane = size < 32 ? lane & static_cast<uint32_t>(32 - size) : Word(0u);
  const Word group = size == 64 ? r >> 1u : r;
  return first_lane + group * lanes;
}

// Whether the group of register r of a lane is kept; anything for what is no expert.
template <int R>
EVENKEEL_WARP Mask IsKept(const RoutePlan& plan, const KeptGroups& kept, Word lane, Word r) {
  return ((Word(kept.lanes) >> (LaneOfGroup<R>(plan, lane, r) & 31u)) & 1u) > 0u;
}

// The key of what is no longer in a group that is kept.
EVENKEEL_WARP Float DroppedKey(const RoutePlan& plan, Float key) {
  if (plan.spec.dropped_group_fill == DroppedGroupFill::kNegInf) return kNegativeInfinity;
  return ieee::Select(key > kNegativeInfinity, 0.0f, kNegativeInfinity);
}

// Drops the keys of groups that are not kept. Answers false, with the keys as they were, where these leave open which
// groups are.
template <int R>
EVENKEEL_WARP bool FilterGroupsNearly(const RoutePlan& plan, Float margin, Float* keys, KeptGroups* kept,
                                      const WarpScratch<R>& scratch) {
  const Float score = GroupScores<R>(plan, keys, scratch);
  const Float threshold = Threshold(plan.spec.top_groups, score);
  kept->lanes = warp::Ballot(score >= threshold);
  if (warp::Ballot(score >= ieee::Sub(threshold, margin)) != kept->lanes) return false;
  if (warp::PopCount(kept->lanes) != plan.spec.top_groups * LanesOfGroup<R>(plan)) return false;
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Mask stays = IsKept<R>(plan, *kept, warp::LaneIndex(), static_cast<uint32_t>(r));
    keys[r] = ieee::Select(stays, keys[r], DroppedKey(plan, keys[r]));
  }
  return true;
}

// The key of an expert by its group.
template <int R>
EVENKEEL_WARP Float KeyInGroup(const RoutePlan& plan, const KeptGroups& kept, Word expert, Float key) {
  return ieee::Select(IsKept<R>(plan, kept, expert & 31u, expert >> 5u), key, DroppedKey(plan, key));
}
