// What the lanes of a warp tell each other about a row. Text for the lanes of a warp; row-inl.h says where it may be
// included.

// Memory of kScratchWords words, of which nothing outlives a row.
template <int R>
struct WarpScratch {
  warp::Shared memory;

  // [32] each: the experts chosen and, behind them, others; the values that go with them, as bits.
  EVENKEEL_WARP warp::Shared slots() const { return memory; }
  EVENKEEL_WARP warp::Shared slot_values() const { return memory + 32; }
  EVENKEEL_WARP warp::Shared kept_groups() const { return memory + 64; }  // a bit a group
  // [33 R]: what groups are scored by, as bits, then the groups' order; after that, in the same place, the candidates.
  EVENKEEL_WARP warp::Shared values() const { return memory + 96; }
  EVENKEEL_WARP warp::Shared candidates() const { return values(); }
};

template <int R>
inline constexpr int kScratchWords = 96 + 33 * R;
