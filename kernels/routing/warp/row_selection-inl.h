// The K best of a row's keys, by (key descending, id ascending). Text for the lanes of a warp; row-inl.h says where it
// may be included.
//
// The K-th best of the lanes' maxima is a threshold that at least K keys reach, if so many are candidates' at all; few
// others do. What reaches it, a lane each, is sorted.

inline constexpr uint32_t kNoExpert = 0xffffffffu;  // -1 as an id

// A value that at least top_k candidates reach, or all of them. Equal maxima count as one: the value is then less than
// it might be, no more.
EVENKEEL_WARP Float Threshold(int top_k, Float lane_maxima) {
  Word orders = Ordered(lane_maxima);
  uint32_t most = warp::MaxOf(orders);
  for (int k = 1; k < top_k; ++k) {
    orders = warp::Select(orders == most, 0u, orders);
    most = warp::MaxOf(orders);
  }
  return FromOrdered(most > kOrderedFirst ? most : kOrderedFirst);
}

// Lists the experts whose key reaches the threshold, by ascending id, and the keys of the first 32 if these are wanted;
// answers how many there are.
template <int R, bool kWithKeys>
EVENKEEL_WARP int ListCandidates(const Float* keys, Float threshold, const WarpScratch<R>& scratch) {
  const Word lane = warp::LaneIndex();
  uint32_t count = 0;
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Mask reaches = keys[r] >= threshold;
    const uint32_t ballot = warp::Ballot(reaches);
    const Word place = count + warp::PopCountBelow(ballot);
    warp::Store(scratch.candidates(), place, Expert(lane, r), reaches);
    if (kWithKeys) warp::Store(scratch.candidate_keys(), place, ieee::Bits(keys[r]), reaches & (place < 32u));
    count += warp::PopCount(ballot);
  }
  warp::Sync(scratch.memory);
  return static_cast<int>(count);
}

// How many of the lanes' orders are greater than each lane's own. Of most rows 16 lanes have one that is not 0.
EVENKEEL_WARP Word GreaterThan(Word order, int count) {
  Word greater = 0u;
  EVENKEEL_UNROLL
  for (int other = 0; other < 16; ++other) {
    greater = warp::CountGreater(greater, warp::Broadcast(order, other), order);
  }
  if (count <= 16) return greater;
  EVENKEEL_UNROLL
  for (int other = 16; other < 32; ++other) {
    greater = warp::CountGreater(greater, warp::Broadcast(order, other), order);
  }
  return greater;
}

// The places of the first `count` lanes, by (order descending, lane ascending). Other lanes' orders are 0.
EVENKEEL_WARP Word RanksOf(Word order, int count) {
  const Word lane = warp::LaneIndex();
  Word rank = GreaterThan(order, count);
  // Ranks of orders that differ are all of 0 .. count - 1, and of others less in sum.
  const Word counted = warp::Select(lane < static_cast<uint32_t>(count), rank, 0u);
  if (warp::SumOf(counted) == static_cast<uint32_t>(count * (count - 1) / 2)) return rank;
  for (int other = 0; other < count; ++other) {
    const Mask ahead = (order == warp::Broadcast(order, other)) & (lane > static_cast<uint32_t>(other));
    rank = rank + warp::Select(ahead, 1u, 0u);
  }
  return rank;
}

// Sorts a candidate of each of the first `count` lanes into the slots. A lower lane has a lower id.
template <int R>
EVENKEEL_WARP void SortCandidates(int count, Word id, Float key, Float score, const WarpScratch<R>& scratch) {
  const Mask taken = warp::LaneIndex() < static_cast<uint32_t>(count);
  const Word rank = RanksOf(warp::Select(taken, Ordered(key), 0u), count);
  warp::Store(scratch.slots(), rank, id, taken);
  warp::Store(scratch.slot_scores(), rank, ieee::Bits(score), taken);
  warp::Sync(scratch.memory);
}

// The experts of the slots, a lane each, of any number of candidates: one by one. Overwrites the keys.
template <int R>
EVENKEEL_WARP Word TakeOneByOne(int top_k, Float* keys) {
  const Word lane = warp::LaneIndex();
  Word chosen = kNoExpert;
  for (int slot = 0; slot < top_k; ++slot) {
    Float best = kNegativeInfinity;
    Word expert = kNoExpert;
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) {
      const Mask better = keys[r] > best;
      best = ieee::Select(better, keys[r], best);
      expert = warp::Select(better, Expert(lane, r), expert);
    }
    const Word order = Ordered(best);
    const uint32_t most = warp::MaxOf(order);
    if (most < kOrderedFirst) break;
    const uint32_t winner = warp::MinOf(warp::Select(order == most, expert, kNoExpert));
    chosen = warp::Select(lane == static_cast<uint32_t>(slot), winner, chosen);
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) keys[r] = ieee::Select(Expert(lane, r) == winner, kNegativeInfinity, keys[r]);
  }
  return chosen;
}

// The experts of the slots, a lane each. Overwrites the keys.
template <int R>
EVENKEEL_WARP Word SelectBest(int top_k, Float* keys, const WarpScratch<R>& scratch) {
  const int count = ListCandidates<R, true>(keys, Threshold(top_k, LaneMaxima<R>(keys)), scratch);
  if (count > 32) return TakeOneByOne<R>(top_k, keys);
  const Word lane = warp::LaneIndex();
  const Mask taken = lane < static_cast<uint32_t>(count);
  const Word id = warp::Load(scratch.candidates(), lane, taken, kNoExpert);
  const Float key = ieee::FromBits(warp::Load(scratch.candidate_keys(), lane, taken, 0u));
  SortCandidates<R>(count, id, key, key, scratch);
  return warp::Load(scratch.slots(), lane, lane < static_cast<uint32_t>(count < top_k ? count : top_k), kNoExpert);
}

// The experts that replay gives.
EVENKEEL_WARP Word ReplayedExperts(const RoutePlan& plan, int64_t row) {
  const Word lane = warp::LaneIndex();
  const int top_k = plan.spec.top_k;
  const int32_t* given = plan.input.replay_ids + row * plan.input.replay_stride;
  const Word id = warp::Load(given, lane, lane < static_cast<uint32_t>(top_k), kNoExpert);
  Mask usable = IsExpert(plan, id);
  for (int slot = 0; slot < top_k; ++slot) {
    const Mask repeated = (id == warp::Broadcast(id, slot)) & (lane > static_cast<uint32_t>(slot));
    usable = usable & !repeated;
  }
  return warp::Select(usable, id, kNoExpert);
}

// Forced balance; see forced_balance.h.
EVENKEEL_WARP Word RoundRobinExperts(const RoutePlan& plan, int64_t row) {
  const Word lane = warp::LaneIndex();
  const uint32_t num_experts = plan.spec.num_experts;
  const Word expert = static_cast<uint32_t>(RoundRobinExpert(row, 0, plan.spec.top_k, plan.spec.num_experts)) + lane;
  const Word wrapped = warp::Select(expert < num_experts, expert, expert - num_experts);
  return warp::Select(lane < static_cast<uint32_t>(plan.spec.top_k), wrapped, kNoExpert);
}

template <int R>
EVENKEEL_WARP Word RandomExperts(const RoutePlan& plan, int64_t row, const WarpScratch<R>& scratch) {
  const uint64_t row_key = RandomRowKey(plan.seed, row);
  Float keys[R];
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Word expert = Expert(warp::LaneIndex(), r);
    keys[r] = ieee::Select(IsExpert(plan, expert), warp::RandomScore(row_key, expert), kNegativeInfinity);
  }
  return SelectBest<R>(plan.spec.top_k, keys, scratch);
}
