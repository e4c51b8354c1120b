// The K best of a row's keys, by (key descending, id ascending). Text for the lanes of a warp; row-inl.h says where it
// may be included.
//
// The K-th best of the lanes' maxima is a threshold that at least K keys reach, if so many are candidates' at all; few
// others do. What reaches it, a lane each, is sorted.

// Makes the greatest of the lanes' words the least, and leaves the others in their order, by subtracting it: the next
// is the greatest then. What has been subtracted in all is the greatest of the last time.
EVENKEEL_WARP void TakeGreatest(Word* left) { *left = *left - warp::MaxOf(*left); }

// The count-th greatest of the lanes' values; equal ones count as one. Where there are not so many it may be any of
// them.
EVENKEEL_WARP Float Threshold(int count, Float lanes) {
  const Word order = Ordered(lanes);
  Word left = order;
  EVENKEEL_NO_UNROLL
  for (; count >= 4; count -= 4) {
    EVENKEEL_UNROLL
    for (int i = 0; i < 4; ++i) TakeGreatest(&left);
  }
  EVENKEEL_NO_UNROLL
  for (; count > 0; --count) TakeGreatest(&left);
  return FromOrdered(order - left);
}

// Lists the experts whose key reaches the threshold, in any order; answers how many there are.
template <int R>
EVENKEEL_WARP int ListCandidates(const Float* keys, Float threshold, const WarpScratch<R>& scratch) {
  Word reaching = 0u;  // bit r: expert 32 r + lane
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) reaching = warp::SetBit(reaching, r, keys[r] >= threshold);
  // Most lanes have none or one, and few more than two.
  int count = 0;
  while (const uint32_t lanes = warp::Ballot(reaching > 0u)) {
    const Word place = static_cast<uint32_t>(count) + warp::PopCountBelow(lanes);
    const Word r = warp::HighestBit(reaching);
    warp::Store(scratch.candidates(), place, warp::LaneIndex() + 32u * r, reaching > 0u);
    reaching = warp::ClearBit(reaching, r);
    count += warp::PopCount(lanes);
  }
  warp::Sync(scratch.memory);
  return count;
}

// How many of the first 16 lanes' orders are greater than that of each of them.
EVENKEEL_WARP Word GreaterOfSixteen(Word order) {
  // The upper half of the warp compares with the second eight, the lower with the first.
  const Word lane = warp::LaneIndex();
  const Word own = warp::Shuffle(order, lane & 15u);
  const Word others = warp::Shuffle(order, (lane & 7u) | ((lane >> 1u) & 8u));
  Word greater = 0u;
  EVENKEEL_UNROLL
  for (int i = 0; i < 8; ++i) greater = warp::CountGreater(greater, warp::BroadcastInHalf(others, i), own);
  return greater + warp::ShuffleXor(greater, 16);
}

EVENKEEL_WARP Word GreaterOfThirtyTwo(Word order) {
  Word greater = 0u;
  EVENKEEL_UNROLL
  for (int other = 0; other < 32; ++other) {
    greater = warp::CountGreater(greater, warp::Broadcast(order, other), order);
  }
  return greater;
}

// The places of the first `count` lanes, by (order descending, id ascending). Other lanes' orders are 0. Of most rows
// 16 lanes have one that is not.
EVENKEEL_WARP Word RanksOf(Word order, Word id, int count) {
  Word rank = count <= 16 ? GreaterOfSixteen(order) : GreaterOfThirtyTwo(order);
  // Ranks of orders that differ are all of 0 .. count - 1, and of others less in sum.
  const Word counted = warp::Select(warp::LaneIndex() < static_cast<uint32_t>(count), rank, 0u);
  if (warp::SumOf(counted) == static_cast<uint32_t>(count * (count - 1) / 2)) return rank;
  for (int other = 0; other < count; ++other) {
    const Mask ahead = (order == warp::Broadcast(order, other)) & (id > warp::Broadcast(id, other));
    rank = rank + warp::Select(ahead, 1u, 0u);
  }
  return rank;
}

// Sorts a candidate of each of the first `count` lanes into the slots, and the values that go with them.
template <int R>
EVENKEEL_WARP void SortCandidates(int count, Word id, Float key, Float value, const WarpScratch<R>& scratch) {
  const Mask taken = warp::LaneIndex() < static_cast<uint32_t>(count);
  const Word rank = RanksOf(warp::Select(taken, Ordered(key), 0u), id, count);
  warp::Store(scratch.slots(), rank, id, taken);
  warp::Store(scratch.slot_values(), rank, ieee::Bits(value), taken);
  warp::Sync(scratch.memory);
}

// The experts of the slots, a lane each, one by one: of any keys, and slow. Overwrites the keys.
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

// The experts that replay gives.
EVENKEEL_WARP Word ReplayedExperts(const RoutePlan& plan, const Row& row) {
  const Word lane = warp::LaneIndex();
  const int top_k = plan.spec.top_k;
  const int32_t* given = plan.input.replay_ids + row.number * plan.input.replay_stride;
  const Word id = warp::Load(given, lane, lane < static_cast<uint32_t>(top_k), kNoExpert);
  Mask usable = IsExpert(plan, id);
  for (int slot = 0; slot < top_k; ++slot) {
    const Mask repeated = (id == warp::Broadcast(id, slot)) & (lane > static_cast<uint32_t>(slot));
    usable = usable & !repeated;
  }
  return warp::Select(usable, id, kNoExpert);
}

// Forced balance; see forced_balance.h.
EVENKEEL_WARP Word RoundRobinExperts(const RoutePlan& plan, const Row& row) {
  const Word lane = warp::LaneIndex();
  const uint32_t num_experts = plan.spec.num_experts;
  const Word expert =
      static_cast<uint32_t>(RoundRobinExpert(row.number, 0, plan.spec.top_k, plan.spec.num_experts)) + lane;
  const Word wrapped = warp::Select(expert < num_experts, expert, expert - num_experts);
  return warp::Select(lane < static_cast<uint32_t>(plan.spec.top_k), wrapped, kNoExpert);
}

template <int R>
EVENKEEL_WARP Word RandomExperts(const RoutePlan& plan, const Row& row) {
  const uint64_t row_key = RandomRowKey(plan.seed, row.number);
  Float keys[R];
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Word expert = Expert(warp::LaneIndex(), r);
    keys[r] = ieee::Select(IsExpert(plan, expert), warp::RandomScore(row_key, expert), kNegativeInfinity);
  }
  return TakeOneByOne<R>(plan.spec.top_k, keys);
}
