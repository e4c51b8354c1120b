// Selection by approximate scores first. Text for the lanes of a warp; row-inl.h says where it may be included.
//
// A defined sigmoid costs a warp ten times the instructions of an approximate one, and only the order near the K-th
// best needs it. So experts are listed by approximate keys, down to a cutoff that no expert of the best K can miss, and
// the few that are listed are scored again, one a lane, and sorted by what the contract says.
//
// Why none is missed. Let e = kApproximateSigmoidError and u = 2^-24. An expert's approximate key a = fl(s' + b) and
// its key k = fl(s + b) differ by at most e + u (|a| + |k|), hence by D(a) = 1.01 e + 2.1 u |a|; and z + D(z) and z -
// D(z) grow with z. At least K candidates, or all, have a >= t, so k >= t - D(t). One that has a < c has k < c + D(c).
// Where t - c >= D(t) + D(c) it is thus behind K others, not level with one. As |c| <= |t| + (t - c), that holds when
// t - c >= 2.1 e + 4.3 u |t|; the cutoff leaves 4 e + 16 u |t|, far more than its own roundings.
//
// A key is finite where the approximate one is: scores are at most 1 and a bias is finite or minus infinity.
EVENKEEL_WARP Float Cutoff(Float threshold) {
  const Float margin = ieee::Add(4 * kApproximateSigmoidError, ieee::Mul(ieee::Abs(threshold), 0x1p-20f));
  return ieee::Max(-__FLT_MAX__, ieee::Sub(threshold, margin));
}

// What was chosen, a slot a lane.
struct Chosen {
  Word ids;
  Float scores;  // unbiased, of the experts
  bool scored;   // false: the scores are not known
};

// Answers false, with nothing chosen, where too many experts are near the threshold.
template <int R>
EVENKEEL_WARP bool ChoosePruned(const RoutePlan& plan, const Float* bias, int64_t row, const WarpScratch<R>& scratch,
                                Chosen* chosen) {
  const Word lane = warp::LaneIndex();
  const int top_k = plan.spec.top_k;
  Float keys[R];
  LoadRow<R>(plan, row, keys);
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) keys[r] = ieee::Add(warp::ApproximateSigmoid(keys[r]), bias[r]);
  const int count = ListCandidates<R, false>(keys, Cutoff(Threshold(top_k, LaneMaxima<R>(keys))), scratch);
  if (count > 32) return false;

  const Word id = warp::Load(scratch.candidates(), lane, lane < static_cast<uint32_t>(count), kNoExpert);
  Float score;
  Float own_bias;
  LoadLogits<1>(plan, row, id, &score);
  LoadBias<1>(plan, id, &own_bias);
  score = Sigmoid(score);
  SortCandidates<R>(count, id, ieee::Add(score, own_bias), score, scratch);
  const Mask taken = lane < static_cast<uint32_t>(count < top_k ? count : top_k);
  chosen->ids = warp::Load(scratch.slots(), lane, taken, kNoExpert);
  chosen->scores = ieee::FromBits(warp::Load(scratch.slot_scores(), lane, taken, 0u));
  chosen->scored = true;
  return true;
}
