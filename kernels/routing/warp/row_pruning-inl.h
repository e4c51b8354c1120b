// Selection by approximate scores first. Text for the lanes of a warp; row-inl.h says where it may be included.
//
// A defined sigmoid costs a warp ten times the instructions of an approximate one, and only the order near the K-th
// best needs it. So experts are listed by approximate keys, down to a cutoff that no expert of the best K can miss, and
// the few that are listed are scored again, one a lane, and sorted by what the contract says.
//
// Why none is missed. Let e = plan.score_error and u = 2^-24. An expert's approximate key a = fl(s' + b) and its key
// k = fl(s + b) differ by at most e + u (|a| + |k|), hence by D(a) = 1.01 e + 2.1 u |a|; and z + D(z) and z - D(z) grow
// with z. At least K candidates have a >= t (that so many lanes have one is asked, not taken for granted: where maxima
// are equal the threshold may be too great), so k >= t - D(t). One that has a < c has k < c + D(c). Where t - c >= D(t)
// + D(c) it is thus behind K others, not level with one. As |c| <= |t| + (t - c), that holds when
// t - c >= 2.1 e + 4.3 u |t|; the cutoff leaves 4 e + 16 u |t|, far more than its own roundings.
//
// A key is finite where the approximate one is: scores that are approximated are at most the scale, or 64 times the
// scale, and a bias is finite or minus infinity. Logits as scores are not approximated.

// Every lane's part of the bias.
template <int R>
struct WarpBias {
  Float of[R];         // of LoadBias
  Float group_margin;  // of GroupMargin, where plan.groups and plan.prunes
};

template <int R>
EVENKEEL_WARP WarpBias<R> LoadWarpBias(const RoutePlan& plan) {
  WarpBias<R> bias;
  LoadBias<R>(plan, warp::LaneIndex(), bias.of);
  bias.group_margin = 0.0f;
  if (plan.groups && plan.prunes) bias.group_margin = GroupMargin<R>(plan, bias.of);
  return bias;
}

EVENKEEL_WARP Float Cutoff(const RoutePlan& plan, Float threshold) {
  const Float margin = ieee::Add(4 * plan.score_error, ieee::Mul(ieee::Abs(threshold), 0x1p-20f));
  return ieee::Max(-__FLT_MAX__, ieee::Sub(threshold, margin));
}

// Makes approximate scores of logits, or of exponentials where the score is a softmax.
template <int R>
EVENKEEL_WARP void ApproximateScores(const RoutePlan& plan, const RowSoftmax& softmax, Float* values) {
  if (plan.spec.score == Score::kSigmoid) {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) values[r] = warp::ApproximateSigmoid(values[r]);
  } else if (plan.spec.score == Score::kSoftmax) {
    const Float reciprocal = warp::ApproximateReciprocal(softmax.sum);
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) values[r] = ieee::Mul(values[r], reciprocal);
  } else if (plan.spec.score == Score::kSqrtSoftplus) {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) values[r] = warp::ApproximateSqrtSoftplus(values[r]);
  }
  if (!plan.spec.scale_before_bias) return;
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) values[r] = ieee::Mul(values[r], plan.spec.scale);
}

// The approximate keys of a row, and its softmax where it is needed; false where the row is poisoned, or a logit too
// great for an approximate score.
template <int R>
EVENKEEL_WARP bool ApproximateKeys(const RoutePlan& plan, const WarpBias<R>& bias, const Row& row, Float* keys,
                                   RowSoftmax* softmax) {
  LoadRow<R>(plan, row, keys);
  if (plan.needs_softmax) {
    *softmax = plan.spec.score == Score::kSoftmax ? SoftmaxOfRow<R>(keys, keys) : SoftmaxOfRow<R>(keys);
    if (warp::Ballot(ieee::IsFinite(softmax->sum)) == 0) return false;
  }
  const bool bounded_logits = plan.spec.score == Score::kSqrtSoftplus;
  if (bounded_logits && warp::Ballot(LaneMaxima<R>(keys) > kApproximatedLogits) != 0) return false;
  ApproximateScores<R>(plan, *softmax, keys);
  KeysOf<R>(plan, keys, bias.of, keys);
  return true;
}

// What was chosen, a slot a lane.
struct Chosen {
  Word ids;
  Float values;     // of the experts: with Weight::kScore the unbiased score, else the logit
  bool has_values;  // false: they are not known
};

// The bias of an expert that is listed: finite, and +0 for -0.
EVENKEEL_WARP Float ListedBias(const RoutePlan& plan, Word id) {
  if (plan.input.bias == nullptr) return 0.0f;
  return ieee::Add(warp::Load(plan.input.bias, id, IsExpert(plan, id), 0.0f), 0.0f);
}

// Scores the experts that are listed, one a lane, and sorts them.
template <int R>
EVENKEEL_WARP Chosen ChooseOfListed(const RoutePlan& plan, const Row& row, const RowSoftmax& softmax, int count,
                                    const KeptGroups& kept, const WarpScratch<R>& scratch) {
  const Word lane = warp::LaneIndex();
  const Word id = warp::Load(scratch.candidates(), lane, lane < static_cast<uint32_t>(count), kNoExpert);
  Float logit;
  LoadLogits<1>(plan, row, id, &logit);
  Float score = logit;
  ScoreLogits<1>(plan, softmax, &score);
  Float key = ieee::Add(score, ListedBias(plan, id));
  if (plan.groups) key = KeyInGroup<R>(plan, kept, id, key);
  SortCandidates<R>(count, id, key, plan.spec.weight == Weight::kScore ? score : logit, scratch);

  const Mask taken = lane < static_cast<uint32_t>(plan.spec.top_k);
  const Word values = warp::Load(scratch.slot_values(), lane, taken, 0xff800000u);
  return {warp::Load(scratch.slots(), lane, taken, kNoExpert), ieee::FromBits(values), true};
}

// Answers false, with nothing chosen, where the approximate scores leave too much open: which groups are kept, or the
// order of more than 32 experts. So it does where fewer lanes have candidates than there are slots.
template <int R>
EVENKEEL_WARP bool ChoosePruned(const RoutePlan& plan, const WarpBias<R>& bias, const Row& row,
                                const WarpScratch<R>& scratch, RowSoftmax* softmax, Chosen* chosen) {
  Float keys[R];
  KeptGroups kept = {0};
  if (!ApproximateKeys<R>(plan, bias, row, keys, softmax)) return false;
  if (plan.groups && !FilterGroupsNearly<R>(plan, bias.group_margin, keys, &kept, scratch)) return false;
  const Float maxima = LaneMaxima<R>(keys);
  const Float threshold = ieee::Max(-__FLT_MAX__, Threshold(plan.spec.top_k, maxima));
  if (warp::PopCount(warp::Ballot(maxima >= threshold)) < plan.spec.top_k) return false;
  const int count = ListCandidates<R>(keys, Cutoff(plan, threshold), scratch);
  if (count > 32) return false;
  *chosen = ChooseOfListed<R>(plan, row, *softmax, count, kept, scratch);
  return true;
}
